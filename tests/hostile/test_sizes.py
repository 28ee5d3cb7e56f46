"""Sizes in a model.json or config.json that no network has: refused before one is built or memory is counted."""

import pytest

from mlx_model.errors import LayoutError
from mlx_model.folder import open_folder
from mlx_model.sizes import check_sizes
from mlx_model.specs import SPECS
from mlx_model.weights import build
from tests.converters import checkpoints

BAD = [
    ("transformer", "depth", 10**9),
    ("transformer", "depth_single_blocks", 10**12),
    ("transformer", "depth", -1),
    ("transformer", "context_in_dim", 2**62),
    ("transformer", "hidden_size", "64"),
    ("transformer", "mlp_ratio", float("inf")),
    ("transformer", "mlp_ratio", 1e300),
    ("transformer", "theta", float("nan")),
    ("transformer", "theta", 0),
    ("transformer", "axes_dim", [40, -8, 0, 0]),
    ("transformer", "axes_dim", [0] * 10**5),
    ("text_encoder", "vocab_size", 2**50),
    ("text_encoder", "out_layers", [2, 4, 10**9]),
    ("text_encoder", "out_layers", [-1, 4, 6]),
    ("autoencoder", "ch", 2**40),
    ("autoencoder", "num_res_blocks", 10**9),
]


@pytest.mark.parametrize(("role", "name", "value"), BAD)
def test_model_json(tmp_path, role, name, value):
    folder = checkpoints.converted(tmp_path / "m")
    checkpoints.manifest(folder, lambda values: values["components"][role]["params"].update({name: value}))
    with pytest.raises(LayoutError, match=f"{name} can't be") as error:
        open_folder(folder)
    assert error.value.exit_code == 3
    assert len(str(error.value)) < 400


def test_a_network_of_10_to_the_9_blocks_is_not_built():
    params = {"hidden_size": 64, "num_heads": 2, "depth": 10**9, "depth_single_blocks": 1, "context_in_dim": 8}
    with pytest.raises(LayoutError, match="depth can't be 1000000000"):
        build("transformer", "flux2", {**params, "axes_dim": (8, 8, 8, 8)})


def test_a_number_of_parameters_without_end(tmp_path):
    folder = checkpoints.converted(tmp_path / "m")
    checkpoints.manifest(folder, lambda values: values["components"]["transformer"].update(parameters=float("inf")))
    with pytest.raises(LayoutError, match="damaged"):
        open_folder(folder)


@pytest.mark.parametrize("spec", SPECS.values(), ids=lambda spec: spec.name)
def test_every_published_size_is_possible(spec):
    for sizes in (spec.transformer, spec.text, spec.autoencoder, *(sizes for _, sizes in spec.extras.values())):
        check_sizes(sizes)
