"""Tiny random FLUX.2 klein pipelines made by diffusers; the oracle of the parity tests."""

import diffusers
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

LAYERS = (2, 4, 6)
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n<think>\n\n</think>\n\n"
)
KINDS = {"klein": "Flux2KleinPipeline", "base": "Flux2KleinPipeline", "kv": "Flux2KleinKVPipeline"}


def tiny_transformer(guidance: bool = False):
    return diffusers.Flux2Transformer2DModel(
        in_channels=16,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=32,
        num_attention_heads=2,
        joint_attention_dim=192,
        axes_dims_rope=(8, 8, 8, 8),
        guidance_embeds=guidance,
    )


def tiny_text_encoder():
    config = transformers.Qwen3Config(
        vocab_size=128,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=8,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        tie_word_embeddings=False,
    )
    return transformers.Qwen3ForCausalLM(config)


def tiny_autoencoder():
    """Four levels, so that a token is 16 pixels as in the published one."""
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    vae = diffusers.AutoencoderKLFlux2(
        block_out_channels=(8, 8, 16, 16), layers_per_block=1, latent_channels=4, norm_num_groups=4, **blocks
    )
    vae.bn.running_mean.normal_()
    vae.bn.running_var.uniform_(0.5, 2)
    return vae


def tiny_tokenizer():
    names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]
    names += ["user", "assistant", "a", "red", "cat", "on", "mat", *";():\n"]
    tokenizer = Tokenizer(models.WordLevel({name: number for number, name in enumerate(names)}, "<|endoftext|>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(names[:5])
    fast = transformers.Qwen2TokenizerFast(tokenizer_object=tokenizer, pad_token="<|endoftext|>")
    fast.chat_template = TEMPLATE
    return fast


def tiny_pipeline(kind: str):
    """One of KINDS with seeded random weights; biases and norms too are random, so that none can be forgotten."""
    torch.manual_seed(0)
    options = {} if kind == "kv" else {"is_distilled": kind == "klein"}
    pipeline = getattr(diffusers, KINDS[kind])(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=tiny_autoencoder(),
        text_encoder=tiny_text_encoder(),
        tokenizer=tiny_tokenizer(),
        transformer=tiny_transformer(),
        **options,
    )
    for part in (pipeline.transformer, pipeline.vae, pipeline.text_encoder):
        for name, value in part.named_parameters():
            if value.ndim == 1:
                value.data += 0.1 * torch.randn_like(value)
            elif name.startswith("proj_out"):
                value.data *= 2
        part.requires_grad_(False).eval()
    return pipeline
