"""Qwen3 and Mistral text encoders: the names of transformers without prefix, only the layers that are used.

Source: transformers models/qwen3, models/mistral3; llama.cpp gguf-py/gguf/tensor_mapping.py. The final norm, the head
and vision towers serve no FLUX model.
"""

from typing import Any

from mlx_model.errors import LayoutError

from .rules import Layout, Rule, Shapes, count_numbered, drop, read_section, rename, say_count

# As published (the hub's files), as transformers 5 writes them, as a causal LM alone, and as a bare encoder.
PREFIXES = ("language_model.model.", "model.language_model.", "model.", "")
UNUSED = ("lm_head.weight", "language_model.lm_head.weight", "tekken_model")
VISION = ("vision_tower.*", "multi_modal_projector.*", "model.vision_tower.*", "model.multi_modal_projector.*")
MISTRAL_HEAD = 128  # no tensor shows it, and Mistral's heads don't fill its width
DECODER = [
    *(drop(name) for name in (*UNUSED, *VISION)),
    *(
        rule
        for prefix in PREFIXES
        for rule in (
            rename(prefix + "embed_tokens.weight", "embed_tokens.weight"),
            rename(prefix + "layers.#.*", "layers.#.*"),
            drop(prefix + "norm.weight"),
        )
    ),
]

_LLAMA_CPP = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
LLAMA_CPP = [
    *(drop(name) for name in ("output.weight", "output_norm.weight", "rope_freqs.weight")),
    rename("token_embd.weight", "embed_tokens.weight"),
    *(rename(f"blk.#.{their}.weight", f"layers.#.{our}.weight") for their, our in _LLAMA_CPP.items()),
]


def _list_layouts(family: str, key: str) -> list[Layout]:
    """One per prefix; `key` of layer 0 is the signature."""
    return [
        Layout("text_encoder", family, prefix or "bare", f"{prefix}layers.0.self_attn.{key}.weight", lambda _: DECODER)
        for prefix in PREFIXES
    ]


# Qwen3 comes first: Mistral's keys are a subset of its own, without the norms of q and k.
LAYOUTS = (
    *_list_layouts("text_qwen3", "q_norm"),
    *_list_layouts("text_mistral3", "q_proj"),
    Layout("text_encoder", "text_qwen3", "llama.cpp", "blk.0.attn_q_norm.weight", lambda _: LLAMA_CPP),
    Layout("text_encoder", "text_mistral3", "llama.cpp", "blk.0.attn_q.weight", lambda _: LLAMA_CPP),
)


say_layers = say_count("num_hidden_layers", "text_config")


def read_sizes(
    shapes: Shapes, config: dict[str, Any], usual: tuple[int, ...], width: int, published: int = 0
) -> dict[str, Any]:
    """The arguments of the family's Params from target names and shapes; RoPE base and epsilon from config.json.

    `width` is what the transformer takes per token; it tells how many hidden states are used. `usual` are the layers of
    the published encoder, which is `published` wide; a smaller one uses layers at the same fractions of its depth (9,
    18, 27 of 36), which is that of its config.json.
    Raises KeyError where a layer that shows a size is missing.
    """
    vocab, hidden = shapes["embed_tokens.weight"]
    config = read_section(config, "text_config")
    norms = [shape for name, shape in shapes.items() if name.endswith(".self_attn.q_norm.weight")]
    head = norms[0][0] if norms else int(config.get("head_dim") or MISTRAL_HEAD)
    if (told_head := config.get("head_dim") or head) != head:
        raise LayoutError(f"config.json of the text encoder says head_dim {str(told_head)[:40]}, its weights {head}.")
    outs = width // hidden
    layers = say_layers(config) or count_numbered(shapes, "layers.")
    fractions = tuple(layers * number // (outs + 1) for number in range(1, outs + 1))
    is_usual = len(usual) == outs and (hidden == published or max(usual) <= layers)
    rope = read_section(config, "rope_parameters")
    told = {"rope_theta": rope.get("rope_theta"), "rms_norm_eps": config.get("rms_norm_eps")}
    return {
        "hidden_size": hidden,
        "intermediate_size": shapes["layers.0.mlp.gate_proj.weight"][0],
        "num_attention_heads": shapes["layers.0.self_attn.q_proj.weight"][0] // head,
        "num_key_value_heads": shapes["layers.0.self_attn.k_proj.weight"][0] // head,
        "head_dim": head,
        "out_layers": usual if is_usual else fractions,
        "vocab_size": vocab,
        **{name: float(value) for name, value in told.items() if value},
    }


def keep_layers(depth: int) -> list[Rule]:
    """Rules that keep the first `depth` layers."""
    kept = [rename(f"layers.{number}.*", f"layers.{number}.*") for number in range(depth)]
    return [*kept, drop("layers.#.*"), rename("*", "*")]
