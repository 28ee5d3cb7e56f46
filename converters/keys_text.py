"""Qwen3 text encoders: the names of transformers without `model.`, only the layers that are used.

Source: transformers models/qwen3/modeling_qwen3.py; the final norm and the LM head serve no FLUX model.
"""

from typing import Any

from .keys import Layout, Rule, Shapes, drop, rename
from .keys_flux2 import count

# With and without the prefix: a causal LM is saved with it, a bare encoder without.
QWEN3 = [
    rule
    for prefix in ("model.", "")
    for rule in (
        rename(prefix + "embed_tokens.weight", "embed_tokens.weight"),
        rename(prefix + "layers.#.*", "layers.#.*"),
        drop(prefix + "norm.weight"),
    )
] + [drop("lm_head.weight")]

LAYOUTS = (
    Layout("text_encoder", "text_qwen3", "transformers", "model.layers.0.self_attn.q_norm.weight", lambda _: QWEN3),
    Layout("text_encoder", "text_qwen3", "bare", "layers.0.self_attn.q_norm.weight", lambda _: QWEN3),
)


def sizes(shapes: Shapes, config: dict[str, Any], usual: tuple[int, ...], width: int) -> dict[str, Any]:
    """The arguments of text_qwen3.Params from target names and shapes; RoPE base and epsilon from config.json.

    `width` is what the transformer takes per token; it tells how many hidden states are used. `usual` are the layers of
    the published model; a smaller encoder uses layers at the same fractions of its depth (9, 18, 27 of 36).
    Raises KeyError where a layer that shows a size is missing.
    """
    vocab, hidden = shapes["embed_tokens.weight"]
    head = shapes["layers.0.self_attn.q_norm.weight"][0]
    layers, outs = count(shapes, "layers."), width // hidden
    fractions = tuple(layers * number // (outs + 1) for number in range(1, outs + 1))
    rope = config.get("rope_parameters") or config
    return {
        "hidden_size": hidden,
        "intermediate_size": shapes["layers.0.mlp.gate_proj.weight"][0],
        "num_attention_heads": shapes["layers.0.self_attn.q_proj.weight"][0] // head,
        "num_key_value_heads": shapes["layers.0.self_attn.k_proj.weight"][0] // head,
        "head_dim": head,
        "out_layers": usual if len(usual) == outs and max(usual) <= layers else fractions,
        "vocab_size": vocab,
        "rope_theta": float(rope.get("rope_theta") or 1e6),
        "rms_norm_eps": float(config.get("rms_norm_eps") or 1e-6),
    }


def used_layers(depth: int) -> list[Rule]:
    """Rules that keep the first `depth` layers."""
    kept = [rename(f"layers.{number}.*", f"layers.{number}.*") for number in range(depth)]
    return [*kept, drop("layers.#.*"), rename("*", "*")]
