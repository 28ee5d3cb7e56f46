"""The step cache against diffusers' first-block cache, on tiny random models: the same passes are cut, and the final
latents are within 1e-4, plain, guided, and with references, of which both compare the picture's tokens alone.

FLUX.1 and FLUX.3 run with diffusers' own hooks; for FLUX.2 these fail in 0.42 (its last block's tokens are not those of
the first), so there the same rule stands below in torch.
"""

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers", minversion="0.42")

from diffusers import hooks  # noqa: E402
from diffusers.hooks import first_block_cache as theirs_cache  # noqa: E402
from diffusers.hooks._helpers import TransformerBlockMetadata, TransformerBlockRegistry  # noqa: E402
from diffusers.hooks.hooks import CacheContext, _set_cache_context  # noqa: E402
from diffusers.models.transformers.transformer_flux3 import Flux3SingleTransformerBlock  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402

from converters.convert import convert  # noqa: E402
from mlx_model.events import Done  # noqa: E402
from mlx_model.request import Reference, Request  # noqa: E402
from mlx_model.run.pipeline import Pipeline  # noqa: E402

from . import tiny_flux1, tiny_flux3, tiny_klein  # noqa: E402
from .test_pipeline_flux2 import pictures  # noqa: E402

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

PROMPT, WIDTH, HEIGHT, CHANNELS, STEPS = "a red cat; (on) a mat", 112, 64, 16, 16
TOKENS = WIDTH * HEIGHT // 256
NOISE = np.random.default_rng(7).standard_normal((TOKENS, CHANNELS)).astype(np.float32)
GRID = torch.from_numpy(NOISE.T.reshape(1, CHANNELS, HEIGHT // 16, WIDTH // 16).copy())


def ours_on(pipeline, threshold, folder, given=(), **options):
    """Our final latents, how many passes there were, and how many were cut."""
    save_file({"noise": NOISE}, folder / "noise.safetensors")
    references = tuple(Reference(pixels=np.asarray(picture)) for picture in given)
    options |= {"references": references, "noise": str(folder / "noise.safetensors"), "step_cache": threshold}
    *_, done = pipeline.run(Request(pipeline.spec.name, PROMPT, WIDTH, HEIGHT, STEPS, **options))
    assert isinstance(done, Done)
    return done.latents, pipeline.step_cache.count, pipeline.step_cache.reused


def compare(made, latents, calls, cut):
    """`calls`: their passes, of which `cut` ended early."""
    print(f"{cut} of {calls} passes cut, latents differ by {np.abs(made[0] - latents).max():.1e}")
    assert made[1:] == (calls, cut)
    assert 0 < cut < calls - 2
    assert np.abs(made[0] - latents).max() < 1e-4
    assert latents.std() > 0.3


@pytest.fixture
def decisions(monkeypatch):
    """What diffusers' hook decides, pass by pass, by the picture's tokens alone."""
    made, decide = [], theirs_cache.FBCHeadBlockHook._should_compute_remaining_blocks

    def decide_by_picture(self, change):
        state = self.state_manager.get_state()
        if state.head_block_residual is not None:
            state.head_block_residual = state.head_block_residual[:, :TOKENS]
        made.append(decide(self, change[:, :TOKENS]))
        return made[-1]

    monkeypatch.setattr(theirs_cache.FBCHeadBlockHook, "_should_compute_remaining_blocks", decide_by_picture)
    return made


def test_flux1(decisions, tmp_path):
    theirs = tiny_flux1.tiny_pipeline("flux1-dev")
    theirs.save_pretrained(tmp_path / "source")
    list(convert(tmp_path / "source", tmp_path / "folder", "flux1-dev", bits=32))
    theirs.transformer.enable_cache(hooks.FirstBlockCacheConfig(threshold=0.3))
    kept = {}
    theirs(
        PROMPT,
        width=WIDTH,
        height=HEIGHT,
        num_inference_steps=STEPS,
        guidance_scale=3.5,
        latents=torch.from_numpy(NOISE)[None],
        callback_on_step_end=lambda *given: kept.update(given[-1]) or given[-1],
    )
    made = ours_on(Pipeline.open(tmp_path / "folder", "float32"), 0.3, tmp_path)
    compare(made, kept["latents"][0].numpy(), len(decisions), decisions.count(False))


@pytest.mark.parametrize("count", [0, 2])
def test_flux3(decisions, tmp_path, count):
    """Guided: each prompt has its own memory."""
    parts = tiny_flux3.tiny_parts("base")
    list(convert(tiny_flux3.save(parts, tmp_path / "source"), tmp_path / "folder", bits=32))
    theirs, given = tiny_flux3.tiny_pipeline("base", parts), pictures(count)
    TransformerBlockRegistry.register(
        Flux3SingleTransformerBlock,
        TransformerBlockMetadata(return_hidden_states_index=1, return_encoder_hidden_states_index=0),
    )
    network = parts["transformer"]
    hooks.apply_first_block_cache(network, hooks.FirstBlockCacheConfig(threshold=1.0))
    name = lambda: CacheContext(str(len(decisions) % 2))  # noqa: E731
    network.register_forward_pre_hook(lambda *_: _set_cache_context(network, name()))
    options = {"image": given} if given else {}
    state = theirs(
        prompt=PROMPT,
        negative_prompt="(on)",
        num_inference_steps=STEPS,
        latents=GRID,
        width=WIDTH,
        height=HEIGHT,
        text_encoder_out_layers=tiny_flux3.LAYERS,
        **options,
    )
    latents = state.get("latents")[0].numpy().reshape(CHANNELS, -1).T
    ours = Pipeline.open(tmp_path / "folder", "float32")
    made = ours_on(ours, 1.0, tmp_path, given, negative="(on)", guidance=3.5)
    compare(made, latents, len(decisions), decisions.count(False))


class Rule:
    """First-block cache on diffusers' FLUX.2: its blocks are passed by where the first one says so."""

    def __init__(self, network, threshold, passes):
        self.threshold, self.passes, self.decisions = threshold, [SimpleNamespace() for _ in range(passes)], []
        first, *blocks = network.transformer_blocks
        *singles, last = network.single_transformer_blocks
        first.forward = self.lead(first.forward)
        for block in blocks:
            block.forward = self.skip(block.forward, lambda hidden, text: (text, hidden))
        for block in singles:
            block.forward = self.skip(block.forward, lambda hidden, text: hidden)
        last.forward = self.end(last.forward)

    def lead(self, forward):
        def run(hidden_states, **given):
            text, hidden = forward(hidden_states=hidden_states, **given)
            now = self.now = self.passes[len(self.decisions) % len(self.passes)]
            now.text, now.hidden = text.shape[1], hidden
            change = (hidden - hidden_states)[:, :TOKENS]
            before = getattr(now, "change", None)
            far = before is None or (change - before).abs().mean() / before.abs().mean() > self.threshold
            self.decisions.append(bool(far))
            if far:
                now.change = change
            return text, hidden

        return run

    def skip(self, forward, same):
        def run(hidden_states, encoder_hidden_states=None, **given):
            if not self.decisions[-1]:
                return same(hidden_states, encoder_hidden_states)
            return forward(hidden_states=hidden_states, encoder_hidden_states=encoder_hidden_states, **given)

        return run

    def end(self, forward):
        def run(hidden_states, **given):
            now = self.now
            if not self.decisions[-1]:
                return torch.cat([hidden_states[:, : now.text], now.hidden + now.others], dim=1)
            hidden = forward(hidden_states=hidden_states, **given)
            now.others = hidden[:, now.text :] - now.hidden
            return hidden

        return run


@pytest.mark.parametrize("kind", ["klein", "base"])
@pytest.mark.parametrize(("threshold", "count"), [(0.8, 0), (1.0, 0), (1.0, 2)])
def test_flux2(tmp_path, kind, threshold, count):
    theirs, given = tiny_klein.tiny_pipeline(kind), pictures(count)
    theirs.save_pretrained(tmp_path / "source")
    list(convert(tmp_path / "source", tmp_path / "folder", bits=32))
    theirs.set_progress_bar_config(disable=True)
    guidance, kept = (4.0 if kind == "base" else 1.0), {}
    rule = Rule(theirs.transformer, threshold, passes=2 if kind == "base" else 1)
    theirs(
        image=given or None,
        prompt=PROMPT,
        width=WIDTH,
        height=HEIGHT,
        num_inference_steps=STEPS,
        latents=GRID,
        text_encoder_out_layers=tiny_klein.LAYERS,
        guidance_scale=guidance,
        callback_on_step_end=lambda *given: kept.update(given[-1]) or given[-1],
    )
    made = ours_on(Pipeline.open(tmp_path / "folder", "float32"), threshold, tmp_path, given, guidance=guidance)
    compare(made, kept["latents"][0].numpy(), len(rule.decisions), rule.decisions.count(False))
