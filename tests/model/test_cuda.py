"""An NVIDIA card, played by what MLX's own functions and the driver say: nothing here ran on one."""

import subprocess
import sys

import pytest

from app.models import benchmark, doctor
from app.models.library import catalogue
from mlx_model import cuda, memory
from mlx_model.errors import GpuFailed, OutOfMemory, tell_device
from mlx_model.specs import SPECS
from mlx_model.speed import step_seconds
from mlx_model.store.weights import default_dtype
from tests.house.tree import NAMES, ROOT

GIB = 2**30
H200 = {  # the keys of mlx_cuda_13 0.32.4
    "device_name": "NVIDIA H200", "architecture": "sm_90", "uuid": "GPU-0", "pci_bus_id": "0000:01:00.0",
    "compute_capability_major": 9, "compute_capability_minor": 0, "total_memory": 139 * GIB, "free_memory": 138 * GIB,
}  # fmt: skip
KLEIN = SPECS["flux2-klein-9b"]


@pytest.fixture
def card(monkeypatch):
    """MLX as it is with CUDA; a function that takes it out of this process, as in the window."""
    import mlx.core as mx

    monkeypatch.setattr(mx.cuda, "is_available", lambda: True)
    monkeypatch.setattr(mx, "device_info", lambda device=None: H200 if device == mx.gpu else {})
    cuda._ask_driver.cache_clear()
    yield lambda: monkeypatch.delitem(sys.modules, "mlx.core")
    cuda._ask_driver.cache_clear()


def let_driver_say(monkeypatch, words, backend="mlx-cuda-13"):
    monkeypatch.setattr(cuda, "_is_installed", lambda name: name == backend)
    monkeypatch.setattr(cuda.shutil, "which", lambda name: f"/usr/bin/{name}")
    answer = subprocess.CompletedProcess([], 0, words)
    monkeypatch.setattr(cuda.subprocess, "run", lambda *_, **__: answer)


def test_mlx_tells_of_the_card_with_the_functions_that_it_has():
    import mlx.core as mx

    assert mx.cuda.is_available() is False
    assert {"device_name", "architecture"} <= set(mx.device_info(mx.cpu))
    assert cuda.find_card() is None


def test_the_forecast_goes_by_the_card_s_memory(card):
    here = memory.machine()
    assert (here.chip, here.total, here.available) == ("NVIDIA H200", 139 * GIB, 138 * GIB)
    assert (here.backend, here.gpu, here.metal, here.number_bytes) == ("CUDA", True, False, 2)
    assert here.usable == int(0.9 * 139 * GIB)
    assert step_seconds(1e12, here) is None
    mine = {entry["name"]: entry for entry in catalogue(here)}["flux2-klein-9b"]
    assert mine["fits"]["16"] is True
    assert mine["memory_bytes"]["16"] == memory.forecast(KLEIN, bits=16, gpu=True).peak


def test_the_window_hears_of_it_from_the_driver(card, monkeypatch):
    card()
    let_driver_say(monkeypatch, "NVIDIA H200, 143771, 143000\nNVIDIA H200, 143771, 2\n")
    assert cuda.find_card() == ("NVIDIA H200", 143771 << 20, 143000 << 20)


NO_CARD = (("", 13), ("No devices were found", 13), ("A card, 1, [N/A]", 13), ("A card, 9, 9", 0))


@pytest.mark.parametrize(("said", "version"), NO_CARD)
def test_without_an_answer_or_the_backend_there_is_none(card, monkeypatch, said, version):
    card()
    let_driver_say(monkeypatch, said, f"mlx-cuda-{version}")
    assert cuda.find_card() is None
    assert memory.machine().backend == "CPU"


def test_pictures_are_made_in_bfloat16_on_it(card):
    assert default_dtype() == "bfloat16"


def test_doctor_names_it_and_finds_nothing_wrong(card, monkeypatch):
    monkeypatch.setattr(cuda, "has_backend", lambda: True)
    monkeypatch.setattr(doctor.blas, "preload", lambda: None)
    found = doctor.examine()
    assert (found["backend"], found["machine"]["chip"]) == ("CUDA", "NVIDIA H200")
    told = " ".join(str(problem["what"]) for problem in found["problems"])
    assert "NVIDIA" not in told
    assert "OpenBLAS" not in told


@pytest.mark.parametrize(("backend", "words"), [(True, "MLX does not see the NVIDIA card."), (False, "does not use")])
def test_doctor_says_what_keeps_a_card_from_being_used(monkeypatch, backend, words):
    monkeypatch.setattr(cuda, "has_backend", lambda: backend)
    monkeypatch.setattr(cuda, "has_driver", lambda: True)
    assert any(words in str(problem["what"]) for problem in doctor.examine()["problems"])


def test_bench_counts_the_card_s_own_memory(card, monkeypatch):
    import mlx.core as mx

    monkeypatch.setattr(mx, "get_peak_memory", lambda: 12345)
    assert benchmark._peak_bytes() == 12345


TOLD = {
    "cudaMallocAsync(&data, size, stream) failed: out of memory": OutOfMemory,
    "[malloc] Unable to allocate 17179869184 bytes.": OutOfMemory,
    "cudaGraphLaunch(handle, stream) failed: an illegal memory access was encountered": GpuFailed,
    "cublasLtMatmul failed: CUBLAS_STATUS_INTERNAL_ERROR": GpuFailed,
}


@pytest.mark.parametrize("text", TOLD)
def test_what_cuda_says_is_told_as_memory_or_as_the_chip_s(text):
    assert type(tell_device(text)) is TOLD[text]


def test_nothing_asks_for_metal_alone():
    texts = {name: (ROOT / name).read_text("utf-8") for name in NAMES}
    assert [name for name, text in texts.items() if "metal.is_av" in text and "cuda.is_available" not in text] == []
    assert [name for name, text in texts.items() if "here.metal" in text] == [
        "app/models/doctor.py"
    ]  # a Mac's own fault
