"""A tiny Qwen3 with random weights as a published language model lies on the disk."""

import json
from itertools import pairwise
from pathlib import Path

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CONFIG = {
    "model_type": "qwen3", "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "rms_norm_eps": 1e-6, "vocab_size": 320, "rope_theta": 10000.0,
    "max_position_embeddings": 4096, "tie_word_embeddings": True, "eos_token_id": 0,
}  # fmt: skip


def save_language(path: Path, tokenizer: Path | None = None, **sizes: int) -> Path:
    """Into the folder `path`; the tokenizer's files into another one where that is asked for. The folder.

    `sizes`: other ones than CONFIG has.
    """
    from mlx_lm.models.qwen3 import Model, ModelArgs

    mx.random.seed(0)
    path.mkdir(parents=True, exist_ok=True)
    config = CONFIG | sizes
    model = Model(ModelArgs.from_dict(config))
    mx.save_safetensors(str(path / "model.safetensors"), dict(tree_flatten(model.parameters())), {"format": "mlx"})
    (path / "config.json").write_text(json.dumps(config))
    save_tokenizer(tokenizer or path)
    return path


def save_outside(path: Path) -> Path:
    """All that is looked at before a language model is opened. The folder."""
    path.mkdir(parents=True)
    (path / "config.json").write_text('{"model_type": "qwen3"}')
    save_file({"weight": np.zeros(4, np.float32)}, path / "model.safetensors")
    return path


def save_tokenizer(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
    special = ["<|im_end|>", "<|im_start|>", "<|endoftext|>", "<think>", "</think>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(["a fox in the snow"], trainer)
    tokenizer.save(str(path / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "chat_template": CHAT,
    }
    (path / "tokenizer_config.json").write_text(json.dumps(settings))


def save_parrot(path: Path, pieces: list[str], layers: int = 2) -> Path:
    """One that says just these pieces, each once, whatever it is asked. More layers make it slower. The folder.

    Its layers add nothing, so that each token is followed by one that depends on it alone.
    """
    from mlx_lm.models.qwen3 import Model, ModelArgs

    save_tokenizer(path)
    tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    tokenizer.add_tokens(pieces)
    tokenizer.save(str(path / "tokenizer.json"))
    line_end, end = tokenizer.encode("\n").ids[-1], tokenizer.token_to_id("<|im_end|>")
    said = [line_end, *map(tokenizer.token_to_id, pieces), end]
    size = -(-tokenizer.get_vocab_size() // 32) * 32
    config = CONFIG | {"hidden_size": size, "vocab_size": size, "num_hidden_layers": layers, "eos_token_id": end,
                       "tie_word_embeddings": False}  # fmt: skip
    weights = dict(tree_flatten(Model(ModelArgs.from_dict(config)).parameters()))
    for name in weights:
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            weights[name] = mx.zeros_like(weights[name])
    weights["model.embed_tokens.weight"] = mx.eye(size)
    head = mx.zeros((size, size))
    for one, following in pairwise(said):
        head[following, one] = 10.0
    weights["lm_head.weight"] = head
    mx.save_safetensors(str(path / "model.safetensors"), weights, {"format": "mlx"})
    (path / "config.json").write_text(json.dumps(config))
    return path
