"""Facts about models that were looked up, so that none is lost in a rewrite."""

import pytest

from mlx_model.specs import SPECS


@pytest.mark.parametrize(("name", "field", "value"), [
    ("flux1-schnell", "gated", True),  # since April 2025
    ("flux1-krea-dev", "guidance", 4.5), ("flux1-krea-dev", "steps", 28),
    ("flux3-image-klein-base", "guidance", 4.0),  # BFL's page; diffusers and mflux have 3.5
    ("selfflow-imagenet", "samplers", ("sde", "ode")),
])  # fmt: skip
def test_facts(name, field, value):
    assert getattr(SPECS[name], field) == value


def test_licences():
    assert SPECS["selfflow-imagenet"].licence.name == "Apache-2.0"
    nines = [row for row in SPECS.values() if "klein" in row.name and "9b" in row.name]
    assert len(nines) == 3
    assert all("FLUX.2-klein-9B" in row.licence.url and row.licence.consent for row in nines)
    assert "FLUX.2-dev" in SPECS["flux2-dev"].licence.url


def test_what_flux3_needs_is_said_where_it_is_chosen():
    assert {row.name for row in SPECS.values() if row.advice} == {
        row.name for row in SPECS.values() if row.family == "flux3"
    }
    assert "written out" in SPECS["flux3-image-klein"].advice
