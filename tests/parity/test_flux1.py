"""FLUX.1 and its encoders against diffusers and transformers, on tiny random networks.

The networks through the key tables within 1e-4; then whole runs (plain, Kontext, Fill, Canny/Depth) on the same noise.
"""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")

import mlx.core as mx  # noqa: E402
from diffusers.pipelines.flux import pipeline_flux_kontext  # noqa: E402
from diffusers.pipelines.flux.modeling_flux import ReduxImageEncoder  # noqa: E402
from PIL import Image  # noqa: E402

from converters.keys import autoencoder as keys_autoencoder  # noqa: E402
from converters.keys import flux1 as keys_flux1  # noqa: E402
from converters.keys import t5_clip  # noqa: E402
from converters.keys.rules import apply  # noqa: E402
from mlx_model.nets import autoencoder, flux1, image_siglip, redux, text_clip, text_t5  # noqa: E402
from mlx_model.nets.ops import timestep_features  # noqa: E402
from mlx_model.run import flux1 as run_flux1  # noqa: E402
from mlx_model.run.pictures import to_signed  # noqa: E402
from mlx_model.run.sampler import denoise, linear_mu, timesteps  # noqa: E402
from mlx_model.specs import SPECS  # noqa: E402

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

WIDTH, HEIGHT, STEPS, CHANNELS = 80, 64, 4, 16
GRID = (HEIGHT // 16, WIDTH // 16)


def seeded(make):
    """A network in eval mode; biases and norms are random too, so that none can be forgotten."""
    torch.manual_seed(0)
    part = make()
    for value in part.parameters():
        if value.ndim == 1:
            value.data += 0.1 * torch.randn_like(value)
    return part.requires_grad_(False).eval()


def tiny_transformer(channels=CHANNELS, guidance=True):
    return diffusers.FluxTransformer2DModel(
        in_channels=channels,
        out_channels=CHANNELS,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=32,
        num_attention_heads=2,
        joint_attention_dim=48,
        pooled_projection_dim=24,
        guidance_embeds=guidance,
        axes_dims_rope=(4, 14, 14),
    )


def tiny_autoencoder():
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    vae = diffusers.AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        use_quant_conv=False,
        use_post_quant_conv=False,
        scaling_factor=0.3611,
        shift_factor=0.1159,
        **blocks,
    )
    # diffusers samples the pictures of Fill and Canny (BFL and we take the mean): leave it nothing to vary.
    vae.encoder.conv_out.weight.data[4:] = 0
    vae.encoder.conv_out.bias.data[4:] = -30
    return vae


def tiny_t5():
    sizes = {"vocab_size": 64, "d_model": 48, "d_kv": 8, "d_ff": 96, "num_layers": 3, "num_heads": 4}
    return transformers.T5EncoderModel(transformers.T5Config(**sizes, feed_forward_proj="gated-gelu"))


def tiny_clip():
    sizes = {"vocab_size": 64, "hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2}
    ends = {"bos_token_id": 62, "eos_token_id": 63, "pad_token_id": 63}
    return transformers.CLIPTextModel(transformers.CLIPTextConfig(**sizes, **ends, num_attention_heads=2))


def tiny_siglip():
    sizes = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 2}
    return transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**sizes, image_size=62, patch_size=14))


def ours(part, layouts, sizes, params, network, tmp_path):
    """The torch network saved as its library saves it, through our tables."""
    part.save_pretrained(tmp_path)
    arrays = {name: x for file in tmp_path.glob("*.safetensors") for name, x in mx.load(str(file)).items()}
    config = json.loads((tmp_path / "config.json").read_text())
    layout = next(layout for layout in layouts if layout.signature in arrays)
    found = apply(layout.rules({name: tuple(x.shape) for name, x in arrays.items()}), arrays)
    made = network(params(**sizes({name: tuple(x.shape) for name, x in found.items()}, config)))
    made.load_weights(list(found.items()), strict=True)
    return made


def our_transformer(part, place):
    return ours(part, keys_flux1.LAYOUTS, keys_flux1.read_sizes, flux1.Params, flux1.Transformer, place)


def our_autoencoder(part, place):
    tables = (keys_autoencoder.LAYOUTS, keys_autoencoder.read_sizes)
    return ours(part, *tables, autoencoder.Params, autoencoder.AutoEncoder, place)


def difference(made, wanted) -> float:
    return float(np.abs(np.array(made.astype(mx.float32)) - wanted.float().numpy()).max())


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("guidance", [True, False])
@pytest.mark.parametrize("referenced", [False, True])
def test_transformer(guidance, referenced, tmp_path):
    theirs = seeded(lambda: tiny_transformer(guidance=guidance))
    model = our_transformer(theirs, tmp_path)
    latents, given, text, pooled = normal(0, 1, 20, 16), normal(1, 1, 6, 16), normal(2, 1, 7, 48), normal(3, 1, 24)
    ids = [run_flux1.grid_ids(GRID), run_flux1.reference_ids([(2, 3)] if referenced else [])]
    wanted = theirs(
        hidden_states=torch.from_numpy(np.concatenate([latents, given], 1) if referenced else latents),
        encoder_hidden_states=torch.from_numpy(text),
        pooled_projections=torch.from_numpy(pooled),
        timestep=torch.tensor([0.5]),
        guidance=torch.tensor([3.5]) if guidance else None,
        img_ids=torch.from_numpy(np.concatenate(ids)).float(),
        txt_ids=torch.zeros(7, 3),
    ).sample[:, :20]
    rope = model.rope(np.concatenate([run_flux1.text_ids(7), *ids]))
    references = mx.array(given) if referenced else None
    condition = model.condition(mx.array(text), rope, references, pooled=mx.array(pooled))
    strength = timestep_features([3.5]) if guidance else None
    made = model(mx.array(latents), timestep_features([0.5]), condition, strength)
    print(f"transformer: {difference(made, wanted):.1e}")
    assert difference(made, wanted) < 1e-4


def test_t5(tmp_path):
    theirs = seeded(tiny_t5)
    made = ours(theirs, t5_clip.LAYOUTS, t5_clip.read_t5_sizes, text_t5.Params, text_t5.TextEncoder, tmp_path)
    ids = np.random.default_rng(0).integers(2, 64, (2, 200))
    ids[:, 150:] = 0
    exact = theirs(torch.from_numpy(ids)).last_hidden_state
    print(f"T5: {difference(made(mx.array(ids)), exact):.1e}")
    assert difference(made(mx.array(ids)), exact) < 1e-4
    made.set_dtype(mx.bfloat16)
    half = theirs.to(torch.bfloat16)(torch.from_numpy(ids)).last_hidden_state.float()
    errors = difference(made(mx.array(ids)), exact), float((half - exact).abs().max())
    print(f"T5 in bfloat16: ours {errors[0]:.1e}, theirs {errors[1]:.1e}")
    assert errors[0] < errors[1]  # residuals in float32


@pytest.mark.parametrize("length", [32, 256, 512])
def test_t5_buckets(length):
    position = torch.arange(length)
    attention = tiny_t5().encoder.block[0].layer[0].SelfAttention
    wanted = attention._relative_position_bucket(position[None] - position[:, None], True, 32, 128).numpy()
    assert np.array_equal(text_t5.distance_buckets(length, 32, 128), wanted)


def test_clip(tmp_path):
    theirs = seeded(tiny_clip)
    tables = (t5_clip.LAYOUTS, t5_clip.read_clip_sizes)
    sized = lambda shapes, config: {**tables[1](shapes, config), "num_attention_heads": 2}  # noqa: E731
    made = ours(theirs, tables[0], sized, text_clip.Params, text_clip.TextEncoder, tmp_path)
    ids = np.full((2, 77), 63)
    ids[:, 0], ids[0, 1:6], ids[1, 1:50] = 62, [4, 8, 15, 16, 23], np.arange(49)
    wanted = theirs(torch.from_numpy(ids), output_hidden_states=False)
    print(f"CLIP: {difference(made(mx.array(ids)), wanted.pooler_output):.1e}")
    assert difference(made.encode(mx.array(ids)), wanted.last_hidden_state) < 1e-5
    assert difference(made(mx.array(ids)), wanted.pooler_output) < 1e-5


def test_siglip_and_redux(tmp_path):
    theirs, embedder = seeded(tiny_siglip), seeded(lambda: ReduxImageEncoder(24, 48))
    tables = (t5_clip.LAYOUTS, t5_clip.read_siglip_sizes)
    made = ours(theirs, *tables, image_siglip.Params, image_siglip.ImageEncoder, tmp_path / "a")
    ours_too = ours(
        embedder, keys_flux1.LAYOUTS, keys_flux1.read_redux_sizes, redux.Params, redux.ImageEmbedder, tmp_path / "b"
    )
    images = normal(0, 2, 62, 62, 3)
    wanted = theirs(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).last_hidden_state
    states = made(mx.array(images))
    print(f"SigLIP: {difference(states, wanted):.1e}")
    assert difference(states, wanted) < 1e-5
    assert difference(ours_too(states), embedder(wanted).image_embeds) < 1e-5


@pytest.mark.parametrize(("dtype", "kind", "bound"), [("bfloat16", mx.bfloat16, 0.05), ("float16", mx.float16, 0.01)])
def test_siglip_in_half_precision(dtype, kind, bound, tmp_path):
    theirs = seeded(tiny_siglip)
    tables = (t5_clip.LAYOUTS, t5_clip.read_siglip_sizes)
    made = ours(theirs, *tables, image_siglip.Params, image_siglip.ImageEncoder, tmp_path)
    images = normal(0, 1, 62, 62, 3)
    exact = theirs(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).last_hidden_state
    made.set_dtype(kind)
    print(f"SigLIP in {dtype}: {difference(made(mx.array(images)), exact):.1e}")
    assert difference(made(mx.array(images)), exact) < bound


@pytest.mark.parametrize(("tokens", "steps"), [(4096, 28), (4096, 4), (1024, 50), (6000, 30)])
def test_schedule(tokens, steps):
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15, base_image_seq_len=256, max_image_seq_len=4096
    )
    mu = pipeline_flux_kontext.calculate_shift(tokens)
    scheduler.set_timesteps(sigmas=np.linspace(1, 1 / steps, steps), mu=mu)
    assert linear_mu(tokens) == pytest.approx(mu)
    assert np.abs(timesteps(steps, linear_mu(tokens)) - scheduler.sigmas.numpy()).max() < 2e-7


def test_preferred_sizes():
    assert sorted(pipeline_flux_kontext.PREFERRED_KONTEXT_RESOLUTIONS) == sorted(
        SPECS["flux1-kontext-dev"].preferred_sizes
    )


# Whole runs on the same noise, text given as features.

KINDS = {  # the class, channels into the transformer, guidance
    "schnell": ("FluxPipeline", CHANNELS, None),
    "dev": ("FluxPipeline", CHANNELS, 3.5),
    "kontext": ("FluxKontextPipeline", CHANNELS, 2.5),
    "fill": ("FluxFillPipeline", CHANNELS + CHANNELS + 256, 30.0),
    "control": ("FluxControlPipeline", 2 * CHANNELS, 10.0),
}
PICTURE = np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
MASK = (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 7 < 3) & (np.indices((HEIGHT, WIDTH))[1] > 20)
TEXT, POOLED, NOISE = normal(2, 1, 7, 48), normal(3, 1, 24), normal(4, 1, GRID[0] * GRID[1], CHANNELS)


def theirs_on(kind, transformer, vae):
    name, _, guidance = KINDS[kind]
    parts = dict.fromkeys(("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"))
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=guidance is not None)
    pipeline = getattr(diffusers, name)(scheduler=scheduler, vae=vae, transformer=transformer, **parts)
    pipeline.set_progress_bar_config(disable=True)
    picture = Image.fromarray(PICTURE)
    given = {
        "kontext": {"image": picture, "_auto_resize": False},
        "fill": {"image": picture, "mask_image": Image.fromarray(MASK.astype(np.uint8) * 255)},
        "control": {"control_image": picture},
    }.get(kind, {})
    if kind == "kontext":
        given["max_area"] = WIDTH * HEIGHT
    return pipeline(
        prompt_embeds=torch.from_numpy(TEXT),
        pooled_prompt_embeds=torch.from_numpy(POOLED),
        latents=torch.from_numpy(NOISE),
        width=WIDTH,
        height=HEIGHT,
        num_inference_steps=STEPS,
        guidance_scale=guidance or 0.0,
        output_type="latent",
        **given,
    ).images


def ours_on(kind, model, vae):
    encode = lambda images: vae.encode(images).reshape(1, -1, CHANNELS)  # noqa: E731
    picture = to_signed(PICTURE[None])
    ids = [run_flux1.text_ids(7), run_flux1.grid_ids(GRID)]
    references = beside = None
    if kind == "kontext":
        references = encode(picture)
        ids.append(run_flux1.reference_ids([GRID]))
    elif kind == "fill":
        mask = MASK.astype(np.float32)
        beside = run_flux1.fill_channels(encode(run_flux1.erase(picture, mask)), mask)
    elif kind == "control":
        beside = encode(picture)
    rope = model.rope(np.concatenate(ids))
    condition = model.condition(mx.array(TEXT), rope, references, pooled=mx.array(POOLED), beside=beside)
    guidance = KINDS[kind][2]
    strength = timestep_features([guidance]) if guidance else None
    times = timesteps(STEPS, linear_mu(GRID[0] * GRID[1]) if guidance else 0.0)
    features = timestep_features(times[:-1])
    velocity = lambda x, i: model(x, features[i : i + 1], condition, strength)  # noqa: E731
    *_, last = denoise(velocity, mx.array(NOISE), times)
    return last.latents


@pytest.mark.parametrize("kind", KINDS)
def test_same_noise_same_latents(kind, tmp_path):
    _, channels, guidance = KINDS[kind]
    transformer = seeded(lambda: tiny_transformer(channels, guidance is not None))
    vae = seeded(tiny_autoencoder)
    model, coder = our_transformer(transformer, tmp_path / "t"), our_autoencoder(vae, tmp_path / "v")
    wanted, made = theirs_on(kind, transformer, vae), ours_on(kind, model, coder)
    print(f"{kind}: latents differ by {difference(made, wanted):.1e}")
    assert difference(made, wanted) < 1e-4
    assert wanted.std() > 0.3
    pixels = vae.decode(wanted_grid(wanted) / 0.3611 + 0.1159).sample.permute(0, 2, 3, 1)
    assert difference(coder.decode(made.reshape(1, *GRID, CHANNELS)), pixels) < 1e-3


def wanted_grid(latents):
    return diffusers.FluxPipeline._unpack_latents(latents, HEIGHT, WIDTH, 8)
