"""bfloat16 and float16: our velocity is no further from float32's than the reference's own half-precision run.

Self-Flow, whose reference no library has, is held to a bound in tests/model/run/test_half_precision.py.
"""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

import mlx.core as mx  # noqa: E402

from converters.keys import flux1 as keys_flux1  # noqa: E402
from converters.keys import flux2 as keys_flux2  # noqa: E402
from converters.keys import flux3 as keys_flux3  # noqa: E402
from converters.keys.rules import apply  # noqa: E402
from mlx_model.nets import flux1, flux2, flux3  # noqa: E402
from mlx_model.nets.ops import timestep_features  # noqa: E402
from mlx_model.run import flux1 as run_flux1  # noqa: E402
from mlx_model.run import flux3 as run_flux3  # noqa: E402
from mlx_model.run import latents  # noqa: E402

from . import tiny_flux1, tiny_flux3, tiny_klein  # noqa: E402

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]
GRID, TOKENS, T, TARGET, GUIDANCE = (6, 8), 16, 0.5, 0.25, 4.0  # times 1000 they are numbers in bfloat16 too
DTYPES = {"bfloat16": (torch.bfloat16, mx.bfloat16), "float16": (torch.float16, mx.float16)}
MARGIN = 1.1  # of two measurements of the same rounding noise


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def flux1_pair(place):
    part = tiny_flux1.tiny_transformer(tiny_flux1.CHANNELS, True)
    model = ours(part, keys_flux1, flux1, place)
    ids = [run_flux1.text_ids(TOKENS), run_flux1.grid_ids(GRID)]
    noise, text, pooled = normal(0, 1, 48, 16), normal(1, 1, TOKENS, 48), normal(2, 1, 24)

    def their(dtype):
        given = {"hidden_states": noise, "encoder_hidden_states": text, "pooled_projections": pooled}
        times = {"timestep": torch.tensor([T], dtype=dtype), "guidance": torch.tensor([GUIDANCE], dtype=dtype)}
        return part.to(dtype)(**tensors(given, dtype), **times, **positions(ids), return_dict=False)[0]

    def our(dtype):
        model.set_dtype(dtype)
        made = model.condition(array(text, dtype), model.rope(np.concatenate(ids)), pooled=array(pooled, dtype))
        return model(array(noise, dtype), timestep_features([T]), made, timestep_features([GUIDANCE]))

    return their, our


def flux2_pair(place):
    part = tiny_klein.tiny_transformer(guidance=True)
    model = ours(part, keys_flux2, flux2, place)
    ids = [latents.text_ids(TOKENS), latents.grid_ids(GRID)]
    noise, text = normal(0, 1, 48, 16), normal(1, 1, TOKENS, 192)

    def their(dtype):
        given = tensors({"hidden_states": noise, "encoder_hidden_states": text}, dtype)
        times = {"timestep": torch.tensor([T], dtype=dtype), "guidance": torch.tensor([GUIDANCE], dtype=dtype)}
        return part.to(dtype)(**given, **times, **positions(ids), return_dict=False)[0]

    def our(dtype):
        model.set_dtype(dtype)
        made = model.condition(array(text, dtype), model.rope(np.concatenate(ids)))
        return model(array(noise, dtype), timestep_features([T]), made, timestep_features([GUIDANCE]))

    return their, our


def flux3_pair(place):
    part = tiny_flux3.tiny_transformer(True)
    model = ours(part, keys_flux3, flux3, place)
    ids = [latents.text_ids(TOKENS), run_flux3.image_ids(GRID)]
    noise, text = normal(0, 1, 48, 16), normal(1, 1, TOKENS, 192)

    def their(dtype):
        given = tensors({"hidden_states": noise, "encoder_hidden_states": text}, dtype)
        times = {"timestep": torch.tensor([T], dtype=dtype), "target_timestep": torch.tensor([TARGET], dtype=dtype)}
        return part.to(dtype)(**given, **times, **positions(ids), return_dict=False)[0]

    def our(dtype):
        model.set_dtype(dtype)
        made = model.condition(array(text, dtype), model.rope(np.concatenate(ids)))
        return model(array(noise, dtype), model.time_features([T]), made, model.time_features([TARGET]))

    return their, our


PAIRS = {"flux1": flux1_pair, "flux2": flux2_pair, "flux3": flux3_pair}


@pytest.mark.parametrize("half", DTYPES)
@pytest.mark.parametrize("name", PAIRS)
def test_no_worse_than_the_reference(name, half, tmp_path):
    torch.manual_seed(0)
    their, our = PAIRS[name](tmp_path)
    with torch.no_grad():
        exact, rounded = (their(dtype).float().numpy() for dtype in (torch.float32, DTYPES[half][0]))
    whole, made = (np.array(our(dtype).astype(mx.float32)) for dtype in (mx.float32, DTYPES[half][1]))
    assert rms(whole - exact) < 1e-4 * rms(exact)
    theirs, ours = rms(rounded - exact) / rms(exact), rms(made - exact) / rms(exact)
    print(f"{name} in {half}: ours {ours:.5f}, theirs {theirs:.5f}")
    assert ours < MARGIN * theirs


def ours(part, keys, family, place):
    """The torch network through its family's table."""
    part.requires_grad_(False).eval().save_pretrained(place)
    arrays = {name: x for file in place.glob("*.safetensors") for name, x in mx.load(str(file)).items()}
    found = apply(keys.DIFFUSERS, arrays)
    config = json.loads((place / "config.json").read_text())
    sizes = keys.read_sizes({name: tuple(x.shape) for name, x in found.items()}, config)
    model = family.Transformer(family.Params(**sizes))
    model.load_weights(list(found.items()), strict=True)
    return model


def tensors(given: dict, dtype) -> dict:
    return {name: torch.from_numpy(x).to(dtype) for name, x in given.items()}


def positions(ids: list) -> dict:
    return {name: torch.from_numpy(x).float() for name, x in zip(("txt_ids", "img_ids"), ids, strict=True)}


def array(x: np.ndarray, dtype) -> mx.array:
    return mx.array(x).astype(dtype)


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.square(x).mean()))
