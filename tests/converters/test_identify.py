"""Every published model is told from the others by its sizes, model_index.json and file name."""

from pathlib import Path

import pytest

from converters.identify import identify
from mlx_model import flux2
from mlx_model.errors import RequestError
from mlx_model.specs import SPECS

PUBLISHED = [spec for spec in SPECS.values() if spec.repo and spec.family == "flux2"]


def index_of(spec):
    """What the repository's model_index.json says."""
    if spec.guidance_kind == "embedded":
        return {"_class_name": "Flux2Pipeline"}
    if spec.reference_bank:
        return {"_class_name": "Flux2KleinKVPipeline"}
    return {"_class_name": "Flux2KleinPipeline", "is_distilled": spec.guidance_kind == "none"}


@pytest.mark.parametrize("spec", PUBLISHED, ids=lambda spec: spec.name)
def test_diffusers_folder(spec):
    """Any folder name will do."""
    params = flux2.Params(**spec.transformer)
    assert identify(Path("/x/download"), "flux2", params, index_of(spec)) == (spec, True)
    assert identify(Path("/x/download"), "flux2", params, index_of(spec), spec.name) == (spec, True)


@pytest.mark.parametrize("spec", PUBLISHED, ids=lambda spec: spec.name)
@pytest.mark.parametrize(
    "form", ["{}.safetensors", "{}-fp16.SAFETENSORS", "{}/model.safetensors", "models--b--{}/snapshots/0f/x"]
)
def test_file_name(spec, form):
    path = Path("/y") / form.format(spec.repo.split("/")[1])
    assert identify(path, "flux2", flux2.Params(**spec.transformer), {}) == (spec, True)


@pytest.mark.parametrize("spec", [s for s in PUBLISHED if s.name != "flux2-dev"], ids=lambda spec: spec.name)
def test_tie(spec):
    """Several published models share a size, all but dev."""
    params = flux2.Params(**spec.transformer)
    with pytest.raises(RequestError, match=spec.name) as error:
        identify(Path("/x/model.safetensors"), "flux2", params, {})
    assert "--model" in error.value.hint
    assert identify(Path("/x/model.safetensors"), "flux2", params, {}, spec.name) == (spec, True)


def test_contradiction():
    """A wrong --model is refused, be it by size or by what model_index.json says."""
    params = flux2.Params(**SPECS["flux2-klein-4b"].transformer)
    with pytest.raises(RequestError, match="is not flux2-klein-9b: its sizes"):
        identify(Path("/x"), "flux2", params, {}, "flux2-klein-9b")
    with pytest.raises(RequestError, match="is not flux2-klein-base-4b"):
        identify(Path("/x"), "flux2", params, {"is_distilled": True}, "flux2-klein-base-4b")
