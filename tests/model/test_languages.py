"""The language models that can be added: their numbers against the published shapes, and who they write for."""

import math
from pathlib import Path

import pytest

from mlx_model.languages import LANGUAGES
from mlx_model.memory import GIB, Machine
from mlx_model.specs import SPECS

SHAPES = Path(__file__).parents[1] / "data" / "layouts"
LAYOUTS = {
    "qwen3-4b": "shapes_te_qwen3_4b.tsv",
    "qwen3-8b": "shapes_te_qwen3_8b.tsv",
    "mistral-small": "shapes_te_mistral_small_24b.tsv",
}
EYES = ("vision_tower", "multi_modal_projector")


@pytest.mark.parametrize("name", LAYOUTS)
def test_weights_are_counted_from_the_published_shapes(name):
    rows = [line.split("\t") for line in (SHAPES / LAYOUTS[name]).read_text().splitlines()]
    sizes = {key: math.prod(map(int, shape.split("x"))) for key, shape in rows}
    spoken = sum(size for key, size in sizes.items() if not key.startswith(EYES))
    assert LANGUAGES[name].parameters == spoken
    assert 2 * sum(sizes.values()) < LANGUAGES[name].download_bytes < 2.02 * sum(sizes.values())


def test_every_writer_that_a_model_names_is_there_and_comes_from_its_makers():
    for spec in (spec for spec in SPECS.values() if spec.writer):
        row = LANGUAGES[spec.writer]
        assert row.repo.split("/")[0] == spec.repo.split("/")[0]
        assert set(row.files) <= set(spec.files) or not row.weights  # no download of its own beside the model's
    assert {spec.family for spec in SPECS.values() if spec.writer} == {"flux2", "flux3"}


def test_the_forecast_knows_bits_and_the_length_of_the_text():
    row = LANGUAGES["flux3-writer"]
    assert row.memory_bytes(4, 1000) < row.memory_bytes(4, 2000) < row.memory_bytes(8, 1000)
    small, large = (Machine("M4", size * GIB, size * GIB, 10, True, 4.6) for size in (8, 16))
    assert [row.fits(4, 4000, here) for here in (small, large)] == [True, True]
    assert [row.fits(8, 4000, here) for here in (small, large)] == [False, True]
