"""The encoders of FLUX.1 (T5, CLIP text, SigLIP vision): names of transformers, only what is used.

Source: transformers models/t5, models/clip, models/siglip. Decoders, heads, projections and the tower of the other
kind serve no FLUX model; single files store T5's token table twice.
"""

from typing import Any

from .rules import Inferred, Layout, Rule, Shapes, count_numbered, drop, read_section, rename, say_count

HEAD = 64  # width of a head of every published CLIP text encoder; no tensor shows it
SIGLIP_HEADS, SIGLIP_PATCH = 16, 14
_TABLE, _COPY = "shared.weight", "encoder.embed_tokens.weight"


def list_t5_rules(shapes: Shapes) -> list[Rule]:
    """The token table is `shared`, or, in files that have only that, its copy in the encoder."""
    return [
        drop(_COPY) if _TABLE in shapes else rename(_COPY, _TABLE),
        rename(_TABLE, _TABLE),
        rename("encoder.*", "encoder.*"),
        drop("decoder.*"),
        drop("lm_head.weight"),
    ]


_BLOCK, _ATTENTION, _DENSE = "encoder.block.#.layer.", "0.SelfAttention.", "1.DenseReluDense."
_LLAMA_CPP = {
    "attn_norm": "0.layer_norm",
    **{f"attn_{letter}": f"{_ATTENTION}{letter}" for letter in "qkvo"},
    "attn_rel_b": f"{_ATTENTION}relative_attention_bias",
    "ffn_norm": "1.layer_norm",
    "ffn_gate": f"{_DENSE}wi_0",
    "ffn_up": f"{_DENSE}wi_1",
    "ffn_down": f"{_DENSE}wo",
}
T5_LLAMA_CPP = [
    rename("token_embd.weight", _TABLE),
    rename("enc.output_norm.weight", "encoder.final_layer_norm.weight"),
    *(rename(f"enc.blk.#.{their}.weight", f"{_BLOCK}{our}.weight") for their, our in _LLAMA_CPP.items()),
    drop("dec.*"),
    drop("output.weight"),
]
CLIP = [
    drop("text_projection.weight"),
    drop("visual_projection.weight"),
    drop("logit_scale"),
    drop("vision_model.*"),
    drop("text_model.embeddings.position_ids"),
    drop("embeddings.position_ids"),
    rename("text_model.*", "*"),
    rename("*", "*"),
]
SIGLIP = [
    drop("logit_scale"),
    drop("logit_bias"),
    drop("text_model.*"),
    drop("vision_model.embeddings.position_ids"),
    drop("embeddings.position_ids"),
    drop("vision_model.head.*"),
    drop("head.*"),
    rename("vision_model.embeddings.patch_embedding.*", "embeddings.patch_embedding.*", "conv"),
    rename("embeddings.patch_embedding.*", "embeddings.patch_embedding.*", "conv"),
    rename("vision_model.*", "*"),
    rename("*", "*"),
]

_BIAS = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
_TOKENS = "embeddings.token_embedding.weight"

# SigLIP comes first: a whole SigLIP file also has a text tower with CLIP's names.
LAYOUTS = (
    Layout("image_encoder", "image_siglip", "vision_model.", "vision_model.head.probe", lambda _: SIGLIP),
    Layout("image_encoder", "image_siglip", "bare", "head.probe", lambda _: SIGLIP),
    Layout("text_encoder", "text_t5", "transformers", _BIAS, list_t5_rules),
    Layout("text_encoder", "text_t5", "llama.cpp", "enc.blk.0.attn_rel_b.weight", lambda _: T5_LLAMA_CPP),
    Layout("pooled_encoder", "text_clip", "text_model.", "text_model." + _TOKENS, lambda _: CLIP),
    Layout("pooled_encoder", "text_clip", "bare", _TOKENS, lambda _: CLIP),
)

T5_INFERRED = (Inferred("num_layers", "encoder.block.", say_count("num_layers")),)
CLIP_INFERRED = (Inferred("num_hidden_layers", "encoder.layers.", say_count("num_hidden_layers", "text_config")),)
SIGLIP_INFERRED = (Inferred("num_hidden_layers", "encoder.layers.", say_count("num_hidden_layers", "vision_config")),)


def read_t5_sizes(shapes: Shapes, config: dict[str, Any]) -> dict[str, Any]:
    """The arguments of text_t5.Params from target names and shapes. Raises KeyError where a layer is missing."""
    first = "encoder.block.0.layer."
    vocab, hidden = shapes[_TABLE]
    buckets, heads = shapes[_BIAS]
    return {
        "d_model": hidden,
        "d_kv": shapes[first + "0.SelfAttention.q.weight"][0] // heads,
        "d_ff": shapes[first + "1.DenseReluDense.wi_0.weight"][0],
        "num_layers": count_numbered(shapes, "encoder.block."),
        "num_heads": heads,
        "vocab_size": vocab,
        "relative_attention_num_buckets": buckets,
        "relative_attention_max_distance": int(config.get("relative_attention_max_distance") or 128),
        "layer_norm_epsilon": float(config.get("layer_norm_epsilon") or 1e-6),
    }


def _read_tower(shapes: Shapes, config: dict[str, Any], heads: int, epsilon: float) -> dict[str, Any]:
    intermediate, hidden = shapes["encoder.layers.0.mlp.fc1.weight"]
    return {
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": count_numbered(shapes, "encoder.layers."),
        "num_attention_heads": int(config.get("num_attention_heads") or heads),
        "layer_norm_eps": float(config.get("layer_norm_eps") or epsilon),
    }


def read_clip_sizes(shapes: Shapes, config: dict[str, Any]) -> dict[str, Any]:
    """The arguments of text_clip.Params; the end token is the last of the vocabulary where config.json is old (2)."""
    config = read_section(config, "text_config")
    vocab, hidden = shapes[_TOKENS]
    end = config.get("eos_token_id")
    return {
        **_read_tower(shapes, config, hidden // HEAD, 1e-5),
        "vocab_size": vocab,
        "max_position_embeddings": shapes["embeddings.position_embedding.weight"][0],
        "eos_token_id": vocab - 1 if end in (None, 2) else int(end),
    }


def read_siglip_sizes(shapes: Shapes, config: dict[str, Any]) -> dict[str, Any]:
    """The arguments of image_siglip.Params from target names and shapes (the convolution already turned)."""
    config = read_section(config, "vision_config")
    patch = shapes["embeddings.patch_embedding.weight"][1]
    side = round(shapes["embeddings.position_embedding.weight"][0] ** 0.5)
    usual = side * patch + (6 if patch == SIGLIP_PATCH else 0)  # so400m: 384 px are 27 patches of 14 and a rest
    return {
        **_read_tower(shapes, config, SIGLIP_HEADS, 1e-6),
        "image_size": int(config.get("image_size") or usual),
        "patch_size": patch,
    }
