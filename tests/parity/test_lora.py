"""Adapters in diffusers' names on diffusers' own tiny FLUX.2, added to its matrices by torch, against ours."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

import mlx.core as mx  # noqa: E402

from converters.keys import flux2 as keys_flux2  # noqa: E402
from converters.keys.rules import apply  # noqa: E402
from converters.quantize import PLANS, encode  # noqa: E402
from mlx_model.nets import flux2  # noqa: E402
from mlx_model.nets.ops import timestep_features  # noqa: E402
from mlx_model.request import Lora  # noqa: E402
from mlx_model.run.latents import grid_ids, text_ids  # noqa: E402
from mlx_model.store import lora, weights  # noqa: E402
from tests.converters.checkpoints import save as save_weights  # noqa: E402
from tests.model.store.made_loras import kohya, low_rank, peft, random, save  # noqa: E402
from tests.parity.tiny_klein import tiny_transformer  # noqa: E402

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]
PARAMS = flux2.Params(64, 2, 2, 2, 192, in_channels=16, axes_dim=(8, 8, 8, 8))
GRID, TEXT, TIME, SCALE = (3, 4), 5, 0.5, 0.7


@pytest.fixture
def theirs():
    torch.manual_seed(0)
    return tiny_transformer().eval()


def ours(theirs) -> flux2.Transformer:
    arrays = {name: mx.array(value.detach().numpy()) for name, value in theirs.state_dict().items()}
    model = flux2.Transformer(PARAMS)
    model.load_weights(list(apply(keys_flux2.DIFFUSERS, arrays).items()), strict=True)
    return model


def inputs():
    return random(1, 1, GRID[0] * GRID[1], 16) * 8, random(2, 1, TEXT, 192) * 8


def velocity(model) -> np.ndarray:
    latents, text = map(mx.array, inputs())
    rope = model.rope(np.concatenate([text_ids(TEXT), grid_ids(GRID)]))
    return np.array(model(latents, timestep_features([TIME]), model.condition(text, rope)))


@torch.no_grad()
def their_velocity(model) -> np.ndarray:
    latents, text = map(torch.from_numpy, inputs())
    ids = [torch.from_numpy(np.asarray(ids, np.int64)) for ids in (grid_ids(GRID), text_ids(TEXT))]
    return model(latents, text, torch.tensor([TIME]), *ids, None, return_dict=False)[0].numpy()


def linears(theirs) -> dict[str, tuple[int, int]]:
    modules = {name: module for name, module in theirs.named_modules() if isinstance(module, torch.nn.Linear)}
    return {name: tuple(module.weight.shape) for name, module in modules.items()}


@torch.no_grad()
def add(theirs, name: str, delta: np.ndarray) -> None:
    theirs.get_submodule(name).weight += SCALE * torch.from_numpy(delta)


def low_ranks(theirs, form):
    """Adapters of all linear layers, added to theirs; the tensors of the file."""
    tensors = {}
    for number, (name, shape) in enumerate(linears(theirs).items()):
        down, up = low_rank(number, *shape)
        tensors |= form(name, down, up)
        add(theirs, name, up @ down)
    return tensors


FORMS = {
    "PEFT": lambda name, down, up: peft(f"transformer.{name}", down, up),
    "kohya": lambda name, down, up: kohya(name, down, 2 * up, alpha=2.0),  # rank 4: half of twice
}


@pytest.mark.parametrize("form", FORMS)
def test_low_ranks_on_every_layer(theirs, tmp_path, form):
    model = ours(theirs)
    plain = velocity(model)
    assert np.abs(plain - their_velocity(theirs)).max() < 1e-4
    path = save(tmp_path / "x.safetensors", low_ranks(theirs, FORMS[form]))
    lora.apply(model, "flux2", [Lora(path, SCALE)])
    assert np.abs(velocity(model) - their_velocity(theirs)).max() < 1e-4
    assert np.abs(velocity(model) - plain).max() > 0.05
    lora.remove(model)
    assert np.array_equal(velocity(model), plain)


def test_lokr_on_every_layer(theirs, tmp_path):
    model, tensors = ours(theirs), {}
    for number, (name, (outputs, width)) in enumerate(linears(theirs).items()):
        first, second = random(number, 4, 8), random(number + 500, outputs // 4, width // 8)
        tensors |= {f"transformer.{name}.lokr_w1": first, f"transformer.{name}.lokr_w2": second}
        add(theirs, name, np.kron(first, second))
    lora.apply(model, "flux2", [Lora(save(tmp_path / "x.safetensors", tensors), SCALE)])
    assert np.abs(velocity(model) - their_velocity(theirs)).max() < 1e-4


@pytest.mark.parametrize("plan", ["q8", "q4r"])
def test_on_packed_weights(theirs, tmp_path, plan):
    """Theirs gets the numbers that the packed layers hold; then the adapters on top are the same."""
    model = ours(theirs)
    named = [(name, value) for name, value in _flat(model)]
    parts = {k: v for name, value in named for k, v in encode(name, value, PLANS[plan]).items()}
    made = {name: part() if callable(part) else part for name, part in parts.items()}
    weights.load(model, [save_weights(tmp_path / "model.safetensors", made)], mx.float32)
    dense = {layer: np.array(_matrix(model, layer)) for layer in lora.layer_sizes(model)}
    path = save(tmp_path / "x.safetensors", low_ranks(theirs, FORMS["PEFT"]))
    lora.apply(model, "flux2", [Lora(path, SCALE)])
    reference = ours(theirs)
    for layer, matrix in dense.items():
        parent, key = weights.locate(reference, layer)
        parent[key].weight += mx.array(matrix) - dict(named)[f"{layer}.weight"]
    assert np.abs(velocity(model) - velocity(reference)).max() < 1e-4


def _flat(model):
    from mlx.utils import tree_flatten

    return [(name, mx.array(np.array(value))) for name, value in tree_flatten(model.parameters())]


def _matrix(model, layer):
    parent, key = weights.locate(model, layer)
    return parent[key](mx.eye(lora.size(parent[key])[1])).T
