"""README and MACS say of the models what SPECS says."""

import re

from mlx_model.specs import SPECS
from tests import predicted_macs
from tests.readme_models import END, README, START, table, with_table


def test_the_table_of_models_is_made_from_specs():
    text = README.read_text("utf-8")
    assert (text.count(START), text.count(END)) == (1, 1)
    assert with_table(text) == text, "run: python -m tests.readme_models --write"


def test_the_table_of_macs_is_predicted_from_specs():
    text = predicted_macs.MACS.read_text("utf-8")
    assert predicted_macs.with_table(text) == text, "run: python -m tests.predicted_macs --write"


def test_the_table_has_every_model_once_and_its_licence():
    lines = table().splitlines()[2:]
    assert [re.match(r"\| `([\w-]+)` \|", line)[1] for line in lines] == list(SPECS)
    for line, spec in zip(lines, SPECS.values(), strict=True):
        assert spec.licence.name in line
        assert (", gated" in line) == spec.gated
