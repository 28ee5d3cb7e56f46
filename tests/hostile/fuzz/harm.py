"""Whole files, harmed: pieces flipped, cut, doubled, moved, and replaced by words that mean something."""

import shutil
import tempfile
import time
from pathlib import Path

from hypothesis import strategies as st

from mlx_model.errors import FluxLocalError
from tests.hostile.fuzz.targets import TARGETS, Target

CORPUS = Path(__file__).parent / "corpus"
SECONDS = 5.0  # of processor time for a file of a few kilobytes


def list_corpus(name: str) -> list[bytes]:
    """What was found before."""
    return [file.read_bytes() for file in sorted((CORPUS / name).glob("*"))]


@st.composite
def harmed(draw: st.DrawFn, target: Target) -> bytes:
    data = bytearray(draw(st.sampled_from(target.seeds)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.sampled_from((0, 1, 1, 2, 4, 8, 30, 200))))
        match draw(st.integers(0, 4)):
            case 0:
                data[at:end] = draw(st.binary(max_size=8))
            case 1:
                data[at:end] = b""
            case 2:
                data[at:at] = data[at:end] * draw(st.sampled_from((1, 2, 50)))
            case 3:
                data[at:end] = draw(st.sampled_from(target.words or (b"\x00",)))
            case 4:
                to = draw(st.integers(0, len(data)))
                data[to:to] = data[at:end]
    return bytes(data)


def read(name: str, data: bytes) -> None:
    """The property: a value or an error of ours, soon, and nothing beside the file. Raises AssertionError and worse."""
    target, folder = TARGETS[name], Path(tempfile.mkdtemp(prefix="flux-fuzz-"))
    try:
        inner = folder / "inner"
        inner.mkdir()
        file = inner / f"x{target.ending}"
        file.write_bytes(data)
        start, told = time.process_time(), "none"
        try:
            target.read(file)
        except FluxLocalError as error:
            told = error.message
        assert 0 < len(told) < 2_000, "an endless message"
        assert time.process_time() - start < SECONDS, "it takes too long"
        assert file.read_bytes() == data, "it changed the file"
        assert [one.name for one in folder.iterdir()] == ["inner"], "it wrote outside"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
