"""Networks that draw nothing of their own, from a hub on this machine: added, refused where they are others."""

import json

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten

from mlx_model.helpers import HELPERS
from mlx_model.nets.depth_anything import DepthAnything
from mlx_model.nets.depth_anything import Params as DepthParams
from mlx_model.nets.swin2sr import Params, Swin2SR
from tests.app.models.made_models import save_published
from tests.network.hub_server import Hub

pytestmark = pytest.mark.network

NETS = {
    "depth_anything": lambda row: DepthAnything(DepthParams()),
    "swin2sr": lambda row: Swin2SR(Params(**row.transformer)),
}


@pytest.fixture(params=HELPERS.values(), ids=list(HELPERS))
def row(request):
    return request.param


@pytest.fixture
def hub(row, tmp_path):
    """Random weights of the published sizes, and files that nobody wants."""
    file = save_published(NETS[row.family](row), tmp_path / "net") / "model.safetensors"
    files = {"config.json": b"{}", "README.md": b"words", "model.safetensors": file.read_bytes()}
    made = Hub({row.repo: {**files, "pytorch_model.bin": b"not asked for"}})
    yield made
    made.close()


def test_it_is_added_listed_checked_and_its_download_goes(flux_local, home, hub, row):
    run = flux_local.run("add", row.name, "--json", "--accept-licence", "--bits", "8")
    assert run.code == 0, run.err
    assert (home / "helpers" / row.name / "model.safetensors").is_file()
    assert not hub.files("pytorch_model.bin")
    assert not (home / "downloads" / row.name).exists()
    listed = json.loads(flux_local.run("list", "--json").out)["helpers"]
    assert [one["name"] for one in listed if one["installed"]] == [row.name]
    assert flux_local.run("verify", row.name).code == 0


def test_what_it_takes_to_download_is_what_the_row_says(hub, row):
    weights = sum(one.size for _, one in tree_flatten(NETS[row.family](row).parameters())) * mx.float32.size
    assert row.download_bytes == pytest.approx(weights, rel=0.01)


def test_a_transfer_that_arrives_damaged_leaves_nothing_installed(flux_local, home, hub, row):
    hub.faults.damages["model.safetensors"] = 9
    run = flux_local.run("add", row.name, "--json")
    assert run.code == 3, run.err
    assert not (home / "helpers").exists()
