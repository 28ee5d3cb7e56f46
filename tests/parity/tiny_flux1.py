"""Tiny random FLUX.1 pipelines of every kind made by diffusers; the oracle of the parity tests."""

import diffusers
import torch
import transformers
from diffusers.pipelines.flux.modeling_flux import ReduxImageEncoder
from tokenizers import pre_tokenizers

CHANNELS, WIDTH, POOLED = 16, 48, 24
KINDS = {  # our model -> their class, channels into the transformer, guidance
    "flux1-schnell": ("FluxPipeline", CHANNELS, None),
    "flux1-dev": ("FluxPipeline", CHANNELS, 3.5),
    "flux1-krea-dev": ("FluxPipeline", CHANNELS, 4.5),
    "flux1-kontext-dev": ("FluxKontextPipeline", CHANNELS, 2.5),
    "flux1-fill-dev": ("FluxFillPipeline", 2 * CHANNELS + 256, 30.0),
    "flux1-canny-dev": ("FluxControlPipeline", 2 * CHANNELS, 30.0),
    "flux1-depth-dev": ("FluxControlPipeline", 2 * CHANNELS, 10.0),
    "flux1-redux-dev": ("FluxPipeline", CHANNELS, 2.5),
}


def tiny_transformer(channels: int, guidance: bool):
    return diffusers.FluxTransformer2DModel(
        in_channels=channels,
        out_channels=CHANNELS,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=32,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=POOLED,
        guidance_embeds=guidance,
        axes_dims_rope=(4, 14, 14),
    )


def tiny_autoencoder():
    """Four levels, so that a token is 16 pixels as in the published one."""
    vae = diffusers.AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        use_quant_conv=False,
        use_post_quant_conv=False,
        scaling_factor=0.3611,
        shift_factor=0.1159,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    )
    # diffusers samples the pictures of Fill and Canny (BFL and we take the mean): leave it nothing to vary.
    vae.encoder.conv_out.weight.data[4:] = 0
    vae.encoder.conv_out.bias.data[4:] = -30
    return vae


def tiny_t5():
    sizes = {"vocab_size": 64, "d_model": WIDTH, "d_kv": 8, "d_ff": 96, "num_layers": 2, "num_heads": 4}
    return transformers.T5EncoderModel(transformers.T5Config(**sizes, feed_forward_proj="gated-gelu"))


def t5_tokenizer():
    pieces = [
        "<pad>",
        "</s>",
        "<unk>",
        "\u2581",
        "\u2581a",
        "\u2581red",
        "\u2581cat",
        "\u2581on",
        "\u2581mat",
        *"acdemnort;()",
    ]
    scores = [(piece, 0.0 if number < 3 else -float(number)) for number, piece in enumerate(pieces)]
    return transformers.T5TokenizerFast(vocab=scores, extra_ids=0)


def tiny_clip(vocabulary: int):
    sizes = {"hidden_size": POOLED, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    ends = {"bos_token_id": vocabulary - 2, "eos_token_id": vocabulary - 1, "pad_token_id": vocabulary - 1}
    return transformers.CLIPTextModel(transformers.CLIPTextConfig(vocab_size=vocabulary, **sizes, **ends))


def clip_tokenizer():
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("c", "a"), ("ca", "t</w>"), ("r", "e"), ("re", "d</w>")]
    names = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, merges)]
    names += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {name: number for number, name in enumerate(names)}
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77)


def tiny_siglip():
    sizes = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 2}
    return transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**sizes, image_size=62, patch_size=14))


def seeded(part):
    """In eval mode; biases and norms are random too, so that none can be forgotten."""
    for value in part.parameters():
        if value.ndim == 1:
            value.data += 0.1 * torch.randn_like(value)
    return part.requires_grad_(False).eval()


def tiny_pipeline(model: str):
    """The diffusers pipeline of one of KINDS with seeded random weights."""
    torch.manual_seed(0)
    name, channels, guidance = KINDS[model]
    tokenizer = clip_tokenizer()
    vae = tiny_autoencoder()
    spread = vae.encoder.conv_out.bias.data[4:].clone()
    pipeline = getattr(diffusers, name)(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=guidance is not None),
        vae=seeded(vae),
        text_encoder=seeded(tiny_clip(len(tokenizer))),
        tokenizer=tokenizer,
        text_encoder_2=seeded(tiny_t5()),
        tokenizer_2=t5_tokenizer(),
        transformer=seeded(tiny_transformer(channels, guidance is not None)),
    )
    vae.encoder.conv_out.bias.data[4:] = spread
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def tiny_redux(base):
    """The prior of Redux, with the text encoders of `base`."""
    torch.manual_seed(1)
    processor = transformers.SiglipImageProcessor(size={"height": 62, "width": 62})
    return diffusers.FluxPriorReduxPipeline(
        image_encoder=seeded(tiny_siglip()),
        feature_extractor=processor,
        image_embedder=seeded(ReduxImageEncoder(24, WIDTH)),
        text_encoder=base.text_encoder,
        tokenizer=base.tokenizer,
        text_encoder_2=base.text_encoder_2,
        tokenizer_2=base.tokenizer_2,
    )
