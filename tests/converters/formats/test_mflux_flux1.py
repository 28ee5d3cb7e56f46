"""FLUX.1 folders as mflux saves them: its own names for T5, the feed-forward layers and the autoencoder.

Made here after the name tables of mflux 0.24's models/flux/weights; no file that it wrote was at hand.
"""

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from converters.convert import convert
from converters.keys import autoencoder as keys_autoencoder
from converters.keys import flux1
from mlx_model.store.folder import open_folder
from mlx_model.store.weights import PackedLinear, open_component
from tests.converters.formats.test_mflux import pack, save, theirs
from tests.converters.tiny import TINY, published, tokenizer, weights

TINY_DEV = TINY["flux1-dev"]
SHORT = (("ff.net.0.proj", "ff.linear1"), ("ff.net.2", "ff.linear2"), ("ff_context.net.0.proj", "ff_context.linear1"),
         ("ff_context.net.2", "ff_context.linear2"))  # fmt: skip


def transformer():
    ours = {name: mx.array(x) for name, x in weights(TINY_DEV, "transformer").items()}
    made = {}
    for name, x in theirs(flux1.DIFFUSERS, ours).items():
        for long, short in SHORT:
            name = name.replace(long, short)
        made[name.replace("time_text_embed.linear", "time_text_embed.timestep_embedder.linear")] = x
    return {name.replace(".attn.to_out.", ".attn.to_out.0."): x for name, x in made.items()}


def autoencoder():
    decoder = keys_autoencoder.list_diffusers_rules({f"decoder.up_blocks.{number}.": () for number in range(4)})
    ours = {name: mx.array(x) for name, x in weights(TINY_DEV, "autoencoder").items()}
    made = {}
    for name, x in theirs(decoder, ours).items():
        parts = name.split(".")
        if parts[1] in ("conv_in", "conv_out"):
            name = f"{parts[0]}.{parts[1]}.conv2d.{parts[2]}"
        if parts[1] == "conv_norm_out":
            name = f"{parts[0]}.{parts[1]}.norm.{parts[2]}"
        made[name.replace("attentions.0.to_out.", "attentions.0.to_out.0.")] = x
    return made


def t5():
    made = {}
    for name, x in weights(TINY_DEV, "text_encoder").items():
        parts = name.split(".")
        if parts[1:2] == ["block"]:
            kind = {"0": "attention", "1": "ff"}[parts[4]]
            name = ".".join(["t5_blocks", parts[2], kind, *parts[5:]])
        made[name.removeprefix("encoder.")] = mx.array(x)
    table = made["t5_blocks.0.attention.SelfAttention.relative_attention_bias.weight"]
    return made | {"t5_blocks.1.attention.SelfAttention.relative_attention_bias.weight": table + 1}


def folder(root, bits):
    clip = {name: mx.array(x) for name, x in published(TINY_DEV, "pooled_encoder").items()}
    parts = {"transformer": transformer(), "text_encoder": clip, "text_encoder_2": t5(), "vae": autoencoder()}
    for name, tensors in parts.items():
        save(root / name, pack(tensors, bits) if bits else tensors)
    (root / "vae" / "config.json").write_text('{"norm_num_groups": 4}')
    tokenizer(root / "tokenizer", clip=True)
    tokenizer(root / "tokenizer_2", clip=False)
    return root


def test_dense(tmp_path):
    list(convert(folder(tmp_path / "source", None), tmp_path / "out", "flux1-dev", bits=32))
    made = open_folder(tmp_path / "out")
    for role in TINY_DEV.parts:
        exact = weights(TINY_DEV, role)
        for name, array in tree_flatten(open_component(made, role, mx.float32).parameters()):
            assert np.array_equal(np.array(array), exact[name]), name


@pytest.mark.first_case
@pytest.mark.parametrize("bits", [8, 4])
def test_packed(tmp_path, bits):
    """Packed layers are taken as they are where the plan is the same: its scales are mflux's own."""
    list(convert(folder(tmp_path / "source", bits), tmp_path / "out", "flux1-dev", bits=bits))
    layer = open_component(open_folder(tmp_path / "out"), "transformer", mx.float32).single_blocks[0].linear2
    assert isinstance(layer, PackedLinear)
    exact = weights(TINY_DEV, "transformer")["single_blocks.0.linear2.weight"]
    packed, scales, _ = mx.quantize(mx.array(exact).astype(mx.bfloat16), 64, bits)
    assert mx.array_equal(layer.weight, packed)
    assert mx.array_equal(layer.scales, scales.astype(mx.float32))
