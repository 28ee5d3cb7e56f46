"""Every published model is told from the others by its sizes, model_index.json, components and file name."""

from importlib import import_module
from pathlib import Path

import pytest

from converters.identify import identify
from mlx_model.errors import Advice, RequestError
from mlx_model.nets import flux1, flux2
from mlx_model.specs import SPECS
from mlx_model.store.folder import roles

PUBLISHED = [spec for spec in SPECS.values() if spec.repo]
BY_NAME = pytest.mark.parametrize("spec", PUBLISHED, ids=lambda spec: spec.name)
DOWNLOAD, LONE = Path("/x/download"), Path("/x/model.safetensors")


def params_of(spec):
    return import_module(f"mlx_model.nets.{spec.family}").Params(**spec.transformer)


def index_of(spec):
    """What the repository's model_index.json says, as far as is known."""
    if not spec.pipelines:
        return {}
    distilled = {"is_distilled": spec.guidance_kind == "none"} if "Flux2KleinPipeline" in spec.pipelines else {}
    return {"_class_name": spec.pipelines[0], **distilled}


def found(path, spec, index, model=None):
    return identify(path, spec.family, params_of(spec), index, model, roles(spec))


def twins(spec):
    """The rows that nothing but a name tells from this one."""
    facts = (params_of(spec), index_of(spec), roles(spec))
    return [row for row in PUBLISHED if (params_of(row), index_of(row), roles(row)) == facts]


@BY_NAME
def test_diffusers_folder(spec):
    """Any folder name will do, but where two models differ in nothing that a folder says."""
    assert found(DOWNLOAD, spec, index_of(spec), spec.name) == (spec, True)
    if len(twins(spec)) == 1:
        assert found(DOWNLOAD, spec, index_of(spec)) == (spec, True)
        return
    with pytest.raises(RequestError, match=spec.name):
        found(DOWNLOAD, spec, index_of(spec))


@BY_NAME
@pytest.mark.parametrize(
    "form", ["{}.safetensors", "{}-fp16.SAFETENSORS", "{}/model.safetensors", "models--b--{}/snapshots/0f/x"]
)
def test_file_name(spec, form):
    name = spec.name if spec.classes else spec.repo.split("/")[1]
    assert found(Path("/y") / form.format(name), spec, {}) == (spec, True)


@pytest.mark.parametrize("name", ["flux1-dev", "flux1-krea-dev", "flux1-canny-dev", "flux2-klein-4b", "flux2-klein-9b"])
def test_tie(name):
    """These share their size with others; a lone file says no more."""
    with pytest.raises(RequestError, match=name) as error:
        found(LONE, SPECS[name], {})
    assert error.value.hint == Advice("name_model")
    assert found(LONE, SPECS[name], {}, name) == (SPECS[name], True)


def test_contradiction():
    """A wrong --model is refused, be it by size or by what model_index.json says."""
    params = flux2.Params(**SPECS["flux2-klein-4b"].transformer)
    with pytest.raises(RequestError, match="is not flux2-klein-9b: its sizes"):
        identify(Path("/x"), "flux2", params, {}, "flux2-klein-9b")
    with pytest.raises(RequestError, match="is not flux2-klein-base-4b"):
        identify(Path("/x"), "flux2", params, {"is_distilled": True}, "flux2-klein-base-4b")


@pytest.mark.parametrize(
    ("channels", "guided", "name"),
    [
        (16, False, "flux1-schnell"),
        (16, True, "flux1-dev"),
        (32, True, "flux1-canny-dev"),
        (96, True, "flux1-fill-dev"),
    ],
)
def test_another_size_goes_by_what_is_there(channels, guided, name):
    """A pruned or tiny model of the family runs as the first row that has the same inputs."""
    params = flux1.Params(
        64, 2, 1, 1, in_channels=channels, out_channels=16, axes_dim=(4, 14, 14), guidance_embed=guided
    )
    assert identify(LONE, "flux1", params, {}) == (SPECS[name], False)
    folder = Path("/x") / SPECS["flux1-depth-dev"].repo.split("/")[1] / "transformer.safetensors"
    if name == "flux1-canny-dev":
        assert identify(folder, "flux1", params, {}) == (SPECS["flux1-depth-dev"], False)
