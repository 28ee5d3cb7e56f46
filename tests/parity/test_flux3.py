"""FLUX.3 against diffusers' transformer, scheduler, image processor and boxes, and transformers' Qwen3-VL."""

import mlx.core as mx
import numpy as np
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers", minversion="0.42")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.parity

from converters.keys import flux3 as keys_flux3  # noqa: E402
from converters.keys import text as keys_text  # noqa: E402
from converters.keys.rules import apply  # noqa: E402
from mlx_model.boxes import Box, on_grid  # noqa: E402
from mlx_model.geometry import Size, reference_canvas  # noqa: E402
from mlx_model.nets import flux3, text_qwen3  # noqa: E402
from mlx_model.run.flux3 import MU, fill_canvas, image_ids, pad_tokens, reference_ids  # noqa: E402
from mlx_model.run.latents import text_ids  # noqa: E402
from mlx_model.run.sampler import denoise, timesteps  # noqa: E402

GRID, REFERENCE_GRIDS = (4, 3), [(2, 3), (3, 2)]


def arrays(module) -> dict[str, mx.array]:
    return {name: mx.array(x.detach().numpy()) for name, x in module.state_dict().items()}


def pair(flow_map: bool):
    """diffusers' network with random weights, norms too, and ours with the same."""
    torch.manual_seed(1)
    theirs = diffusers.Flux3Transformer2DModel(
        in_channels=16,
        cond_in_channels=16,
        num_layers=2,
        num_single_layers=3,
        attention_head_dim=32,
        num_attention_heads=2,
        joint_attention_dim=48,
        axes_dims_rope=(8, 8, 8, 8),
        flow_map=flow_map,
    ).eval()
    for value in theirs.parameters():
        if value.ndim == 1:
            value.data += 0.1 * torch.randn_like(value)
    made = apply(keys_flux3.DIFFUSERS, arrays(theirs))
    sizes = keys_flux3.read_sizes({name: tuple(x.shape) for name, x in made.items()}, dict(theirs.config))
    ours = flux3.Transformer(flux3.Params(**sizes))
    ours.load_weights(list(made.items()), strict=True)
    return theirs, ours


def inputs():
    rng = np.random.default_rng(2)
    draw = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
    return draw(1, 12, 16), draw(1, 7, 48), draw(1, 12, 16)


def velocities(flow_map: bool, with_references: bool):
    theirs, ours = pair(flow_map)
    _, text, references = inputs()
    reference = reference_ids(REFERENCE_GRIDS)
    ids = np.concatenate([text_ids(7), image_ids(GRID), *([reference] if with_references else [])])
    condition = ours.condition(mx.array(text), ours.rope(ids), mx.array(references) if with_references else None)
    given = {"encoder_hidden_states": torch.tensor(text), "txt_ids": torch.tensor(ids[:7])}
    given["img_ids"] = torch.tensor(ids[7:19])
    if with_references:
        given["image_cond_hidden_states"] = torch.tensor(references)
        given["image_cond_ids"] = torch.tensor(reference)

    def their(x, t, target):
        more = {"target_timestep": torch.tensor([target])} if flow_map else {}
        with torch.no_grad():
            return theirs(x, timestep=torch.tensor([t]), return_dict=False, **given, **more)[0]

    def our(x, t, target):
        more = [ours.time_features([target])] if flow_map else []
        return ours(x, ours.time_features([t]), condition, *more)

    return their, our


@pytest.mark.parametrize("with_references", [False, True])
@pytest.mark.parametrize("flow_map", [False, True])
def test_velocity(flow_map, with_references):
    their, our = velocities(flow_map, with_references)
    latents = inputs()[0]
    # 125 and 500: whole angles, so that both sides have the same time table.
    expected, found = their(torch.tensor(latents), 0.5, 0.125).numpy(), np.array(our(mx.array(latents), 0.5, 0.125))
    error = np.abs(found - expected).max()
    print(f"flow map {flow_map}, references {with_references}: {error:.1e}")
    assert error < 2e-5
    assert np.abs(expected).max() > 0.5


def test_a_whole_run_equals_diffusers_steps():
    """16 steps of the flow map with diffusers' scheduler, and with our only loop."""
    their, our = velocities(True, True)
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=6.93)
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / 16, 16))
    x = torch.tensor(inputs()[0])
    steps = scheduler.timesteps
    for i, t in enumerate(steps):
        target = float(steps[i + 1]) / 1000 if i + 1 < len(steps) else 0.0
        x = scheduler.step(their(x, float(t) / 1000, target), t, x, return_dict=False)[0]
    times = timesteps(16, MU)
    *_, last = denoise(
        lambda latents, i: our(latents, float(times[i]), float(times[i + 1])), mx.array(inputs()[0]), times
    )
    error = np.abs(np.array(last.latents) - x.numpy()).max()
    print(f"16 steps: {error:.1e} of {x.abs().max():.1f}")
    assert error < 2e-3


def test_text_encoder_with_padding_in_one_place():
    config = transformers.Qwen3VLTextConfig(
        vocab_size=99,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=5,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        rope_parameters={"rope_type": "default", "rope_theta": 5e6, "mrope_section": [4, 2, 2]},
    )
    torch.manual_seed(0)
    theirs = transformers.Qwen3VLTextModel(config).eval()
    source = {f"model.language_model.{name}": x for name, x in arrays(theirs).items()}
    made = apply([*keys_text.DECODER], source)
    sizes = keys_text.read_sizes({n: tuple(x.shape) for n, x in made.items()}, {"rope_theta": 5e6}, (2, 4), 128)
    ours = text_qwen3.TextEncoder(text_qwen3.Params(**sizes))
    ours.load_weights(list(apply(keys_text.keep_layers(4), made).items()), strict=True)
    ids, real, positions = pad_tokens(list(range(5, 28)), 0, 8192)
    with torch.no_grad():
        given = {"attention_mask": torch.tensor(real.astype(int)), "position_ids": torch.tensor(positions)[None]}
        states = theirs(torch.tensor(ids, dtype=torch.long), output_hidden_states=True, **given).hidden_states
    expected = torch.cat([states[2], states[4]], -1).numpy()
    found = np.array(ours(mx.array(ids), mx.array(real), positions))
    error = np.abs(found - expected).max()
    print(f"Qwen3-VL tower: {error:.1e}")
    assert error < 2e-5


@pytest.mark.parametrize("size", [(640, 480), (2048, 2048), (2049, 2047), (5000, 900), (37, 21), (9, 30), (4097, 16)])
def test_reference_canvas(size):
    from diffusers.modular_pipelines.flux3.image_processor import Flux3ImageProcessor
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    theirs, box = Flux3ImageProcessor().preprocess(Image.fromarray(pixels))
    canvas = reference_canvas(Size(*size))
    resized = Image.fromarray(pixels)
    if resized.size != canvas.used:
        resized = resized.resize(canvas.used, Image.Resampling.LANCZOS)
    ours = fill_canvas(canvas, np.asarray(resized))
    expected = np.round((theirs[0].permute(1, 2, 0).numpy() + 1) * 127.5)
    assert np.array_equal(ours, expected)
    crop = box["reference_crop"]
    if crop is not None:
        assert crop == (canvas.left, canvas.top, canvas.left + canvas.used.width, canvas.top + canvas.used.height)


def test_boxes_are_the_rows_of_diffusers():
    from diffusers.modular_pipelines.flux3.prompt_upsampler import boxes_to_canvas, reconcile_boxes

    place, former = (0.1, 0.25, 0.333, 1.0), (0.0, 0.5, 0.5, 0.75)
    given = [
        {"id": "dog_1", "desc": "a dog", "bbox": list(place)},
        {"id": "hat_1", "desc": "gone", "from": "ref_image_1", "src_bbox": list(former)},
    ]
    boxes = [
        Box("dog_1", "a dog", on_grid(*place)),
        Box("hat_1", "gone", origin="ref_image_1", source=on_grid(*former)),
    ]
    rows = boxes_to_canvas(given)
    assert [box.row() for box in boxes] == rows
    from mlx_model.boxes import with_boxes

    caption = "A dog <dog_1> without a hat <hat_1>."
    assert with_boxes(caption, boxes, references=1) == reconcile_boxes(caption, rows)
