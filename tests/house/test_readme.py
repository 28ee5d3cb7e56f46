"""README and MACS say of the models what SPECS says."""

import re

import pytest

from mlx_model.languages import LANGUAGES
from mlx_model.specs import SPECS
from tests import predicted_macs, readme_models


@pytest.mark.parametrize("made", [readme_models, predicted_macs])
def test_tables_are_made_from_specs(made):
    text = made.PLACE.file.read_text("utf-8")
    assert (text.count(made.PLACE.start), text.count(made.PLACE.end)) == (1, 1)
    assert made.PLACE.put(made.table()) == text, f"run: python -m {made.__name__} --write"


def test_the_table_has_every_model_once_and_its_licence():
    lines = readme_models.table().splitlines()[2:]
    assert [re.match(r"\| `([\w-]+)` \|", line)[1] for line in lines] == [*SPECS, *LANGUAGES]
    for line, spec in zip(lines, [*SPECS.values(), *LANGUAGES.values()], strict=True):
        assert spec.licence.name in line
        assert (", gated" in line) == spec.gated
