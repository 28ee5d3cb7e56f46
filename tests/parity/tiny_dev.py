"""A tiny random FLUX.2 dev made by diffusers: Mistral 3 with its vision tower, embedded guidance, small decoder."""

import diffusers
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

from .tiny_klein import tiny_transformer

LAYERS = (2, 4, 6)
MARKS = ["<unk>", "<s>", "<pad>", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[INST]", "[/INST]", "[IMG]"]
WORDS = ["You", "are", "an", "AI", "that", "a", "red", "cat", "on", "mat", *";(),."]
TEMPLATE = (
    "<s>{% for message in messages %}{% set name = 'SYSTEM_PROMPT' if message.role == 'system' else 'INST' %}"
    "[{{ name }}]{{ message.content[0].text }}[/{{ name }}]{% endfor %}"
)


def tiny_text_encoder():
    text = {
        "model_type": "mistral",
        "vocab_size": 64,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 8,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "rope_theta": 1e9,
    }
    vision = {"model_type": "pixtral", "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1}
    vision |= {"num_attention_heads": 2, "image_size": 32, "patch_size": 16}
    config = transformers.Mistral3Config(text_config=text, vision_config=vision, image_token_index=7)
    return transformers.Mistral3ForConditionalGeneration(config)


def tiny_autoencoder():
    """The published small decoder has three quarters of the encoder's width; this one has half."""
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    widths = {"block_out_channels": (16, 16, 32, 32), "decoder_block_out_channels": (8, 8, 16, 16)}
    vae = diffusers.AutoencoderKLFlux2(layers_per_block=1, latent_channels=4, norm_num_groups=4, **widths, **blocks)
    vae.bn.running_mean.normal_()
    vae.bn.running_var.uniform_(0.5, 2)
    return vae


def tiny_tokenizer():
    names = {name: number for number, name in enumerate([*MARKS, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(names, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(MARKS)
    marks = {"unk_token": "<unk>", "bos_token": "<s>", "pad_token": "<pad>", "padding_side": "left"}
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **marks)
    fast.chat_template = TEMPLATE
    return fast


def tiny_pipeline():
    """Seeded random weights; biases and norms too are random, so that none can be forgotten."""
    torch.manual_seed(0)
    pipeline = diffusers.Flux2Pipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=tiny_autoencoder(),
        text_encoder=tiny_text_encoder(),
        tokenizer=tiny_tokenizer(),
        transformer=tiny_transformer(guidance=True),
    )
    for part in (pipeline.transformer, pipeline.vae, pipeline.text_encoder):
        for name, value in part.named_parameters():
            if value.ndim == 1:
                value.data += 0.1 * torch.randn_like(value)
            elif name.startswith("proj_out"):
                value.data *= 2
        part.requires_grad_(False).eval()
    return pipeline
