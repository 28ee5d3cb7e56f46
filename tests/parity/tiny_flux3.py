"""Tiny random FLUX.3 image models made by diffusers and transformers; the oracle of the parity tests."""

from pathlib import Path

import diffusers
import torch
import transformers
from diffusers.modular_pipelines.flux3 import Flux3AutoBlocks
from diffusers.modular_pipelines.flux3.modular_blocks_flux3_distilled import Flux3DistilledAutoBlocks

from .tiny_klein import tiny_autoencoder, tiny_tokenizer

LAYERS, WIDTH = (2, 4, 6), 64
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
BLOCKS = {"klein": Flux3DistilledAutoBlocks, "base": Flux3AutoBlocks}


def tiny_transformer(flow_map: bool):
    return diffusers.Flux3Transformer2DModel(
        in_channels=16,
        cond_in_channels=16,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=32,
        num_attention_heads=2,
        joint_attention_dim=len(LAYERS) * WIDTH,
        axes_dims_rope=(8, 8, 8, 8),
        flow_map=flow_map,
    )


def tiny_text_encoder():
    """With a vision tower and a head, which conversion drops."""
    text = {
        "vocab_size": 128,
        "hidden_size": WIDTH,
        "intermediate_size": 128,
        "num_hidden_layers": 8,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "rope_parameters": {"rope_type": "default", "rope_theta": 5e6, "mrope_section": [4, 2, 2]},
    }
    vision = {"depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2, "out_hidden_size": WIDTH}
    vision |= {"deepstack_visual_indexes": [0], "num_position_embeddings": 16}
    return transformers.Qwen3VLForConditionalGeneration(
        transformers.Qwen3VLConfig(text_config=text, vision_config=vision)
    )


class Processor:
    """What the pipeline uses of Qwen3-VL's processor."""

    def __init__(self):
        self.tokenizer = tiny_tokenizer()
        self.tokenizer.chat_template = TEMPLATE
        self.apply_chat_template = self.tokenizer.apply_chat_template


def tiny_parts(kind: str) -> dict:
    """Seeded random weights; norms too are random, so that none can be forgotten."""
    torch.manual_seed(0)
    networks = {
        "transformer": tiny_transformer(kind == "klein"),
        "vae": tiny_autoencoder(),
        "text_encoder": tiny_text_encoder(),
    }
    for network in networks.values():
        for name, value in network.named_parameters():
            if value.ndim == 1:
                value.data += 0.1 * torch.randn_like(value)
            elif name.startswith("proj_out"):
                value.data *= 2
        network.requires_grad_(False).eval()
    return {**networks, "tokenizer": Processor()}


def tiny_pipeline(kind: str, parts: dict):
    """diffusers' modular pipeline of klein or base with these parts."""
    blocks = BLOCKS[kind]()
    blocks.sub_blocks.pop("prompt_upsampler")  # a language model of its own
    pipeline = blocks.init_pipeline()
    pipeline.update_components(**parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def save(parts: dict, place: Path) -> Path:
    """The folder as it is published: the tokenizer's files lie beside the text encoder's weights."""
    for name in ("transformer", "vae", "text_encoder"):
        parts[name].save_pretrained(place / name)
    parts["tokenizer"].tokenizer.save_pretrained(place / "text_encoder")
    return place
