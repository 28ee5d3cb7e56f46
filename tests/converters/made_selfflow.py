"""Tiny Self-Flow checkpoints as released: a .pt with the tensors under "model", a vae/ with diffusers' old names."""

import json
from pathlib import Path

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten

from mlx_model.nets import autoencoder, selfflow
from tests.golden import recipe_weights
from tests.hostile.test_pickle_free import program, state, storage, tensor, write

# 72 is the width of a head that the converter assumes, 32 x 32 latents are 256 pixels.
SMALL = selfflow.Params(hidden_size=144, depth=2, num_heads=2)
SMALL_VAE = autoencoder.Params(
    ch=8, ch_mult=(1, 1, 1, 1), num_res_blocks=1, z_channels=4, groups=4, packed_norm=False, scale=0.18215
)
OLD = {"q": "query", "k": "key", "v": "value", "proj_out": "proj_attn"}


def save_pt(file: Path, arrays: dict[str, np.ndarray], wrap: str | None = "model") -> Path:
    """As torch.save writes float32 tensors, one block for each."""
    file.parent.mkdir(parents=True, exist_ok=True)
    tensors, blocks = {}, {}
    for number, (name, array) in enumerate(arrays.items()):
        strides = [int(np.prod(array.shape[axis + 1 :])) for axis in range(array.ndim)]
        block = storage("FloatStorage", str(number), array.size)
        tensors[name] = tensor(array.shape, strides, 0, block)
        blocks[str(number)] = np.ascontiguousarray(array, "<f4").tobytes()
    tree = state(**tensors)
    return write(file, program(state(**{wrap: tree}) if wrap else tree), blocks)


def weights(params: selfflow.Params) -> dict[str, np.ndarray]:
    """By the recipe of the golden vectors; the positions are computed."""
    model = selfflow.Transformer(params)
    shapes = {name: tuple(x.shape) for name, x in tree_flatten(model.parameters()) if name != "pos_embed"}
    return {**recipe_weights(shapes), "pos_embed": np.array(model.pos_embed)}


def vae_arrays(params: autoencoder.Params) -> dict[str, np.ndarray]:
    """Recipe weights by the names of stabilityai/sd-vae-ft-ema."""
    model = autoencoder.AutoEncoder(params)
    ours = recipe_weights({name: tuple(x.shape) for name, x in tree_flatten(model.parameters())})
    return dict(old_name(name, array, len(params.ch_mult)) for name, array in ours.items())


def old_name(name: str, array: np.ndarray, levels: int = 4) -> tuple[str, np.ndarray]:
    """Our name and array -> theirs; written without the table under test."""
    theirs = name.replace(".norm_out.", ".conv_norm_out.").replace("nin_shortcut", "conv_shortcut")
    theirs = theirs.replace("encoder.quant", "quant").replace("decoder.post_quant", "post_quant")
    for k in range(levels):
        theirs = theirs.replace(f"decoder.up.{k}.", f"decoder.up_blocks.{levels - 1 - k}.")
    theirs = theirs.replace("encoder.down.", "encoder.down_blocks.").replace(".block.", ".resnets.")
    theirs = theirs.replace(".downsample.", ".downsamplers.0.").replace(".upsample.", ".upsamplers.0.")
    theirs = theirs.replace("mid.block_1", "mid_block.resnets.0").replace("mid.block_2", "mid_block.resnets.1")
    theirs = theirs.replace("mid.attn_1.norm", "mid_block.attentions.0.group_norm")
    for our, their in OLD.items():
        theirs = theirs.replace(f"mid.attn_1.{our}.", f"mid_block.attentions.0.{their}.")
    if array.ndim == 4:
        array = array[:, 0, 0] if ".mid_block.attentions." in theirs else array.transpose(0, 3, 1, 2)
    return theirs, array


def checkpoint(root: Path, params: selfflow.Params = SMALL, vae: autoencoder.Params = SMALL_VAE) -> Path:
    """The .pt of `params` with vae/ beside it."""
    file = save_pt(root / "selfflow_imagenet256.pt", weights(params))
    if params.hidden_size % 72 or params.num_heads != params.hidden_size // 72:
        (root / "config.json").write_text(json.dumps({"num_heads": params.num_heads}))
    (root / "vae").mkdir()
    arrays = {name: mx.array(np.ascontiguousarray(array)) for name, array in vae_arrays(vae).items()}
    mx.save_safetensors(str(root / "vae" / "diffusion_pytorch_model.safetensors"), arrays)
    (root / "vae" / "config.json").write_text(json.dumps({"norm_num_groups": vae.groups}))
    return file
