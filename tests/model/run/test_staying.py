"""Where memory is short: prompts come before the transformer, which goes when a new one does."""

import dataclasses
from pathlib import Path

import pytest

from mlx_model.fitting import expect
from mlx_model.memory import ALWAYS
from mlx_model.request import Request
from mlx_model.run import pipeline as pipelines
from mlx_model.run.pipeline import Pipeline

MINI = Path(__file__).parents[3] / "assets" / "mini"


def asked(prompt, **options):
    return Request("mini", prompt, 64, 64, steps=1, guidance=1.0, **options)


@pytest.fixture
def loads(monkeypatch):
    """Opens mini on a machine where `stay` alone may stay; what is loaded is listed with what was there already."""

    def opened(stay):
        listed, pipeline, open_component = [], Pipeline.open(MINI, "float32"), pipelines.open_component

        def listing(folder, role, dtype):
            listed.append((role, sorted(pipeline._loaded)))
            return open_component(folder, role, dtype)

        told = lambda *given: (dataclasses.replace(expect(*given)[0], stay=stay), 0)  # noqa: E731
        monkeypatch.setattr(pipelines, "expect", told)
        monkeypatch.setattr(pipelines, "open_component", listing)
        return pipeline, listed

    return opened


def latents(pipeline, request, ahead=tuple):
    *_, done = pipeline.run(request, ahead=ahead)
    return done.latents.tobytes()


def test_the_transformer_goes_when_a_new_prompt_comes(loads):
    pipeline, listed = loads(ALWAYS)
    first = latents(pipeline, asked("a beach"))
    latents(pipeline, asked("a forest"))
    assert latents(pipeline, asked("a beach")) == first
    assert listed == [
        ("text_encoder", []),
        ("transformer", []),
        ("autoencoder", ["transformer"]),
        ("text_encoder", ["autoencoder"]),
        ("transformer", ["autoencoder"]),
    ]


def test_the_transformer_stays_where_it_fits_beside_the_encoder(loads):
    pipeline, listed = loads(ALWAYS | {"transformer"})
    latents(pipeline, asked("a beach"))
    latents(pipeline, asked("a forest"))
    assert listed[3:] == [("text_encoder", ["autoencoder", "transformer"])]


def test_prompts_of_what_waits_are_encoded_with_the_first(loads):
    pipeline, listed = loads(ALWAYS)
    coming = [asked("a forest"), asked("a house", seed=3)]
    latents(pipeline, asked("a beach"), lambda: coming)
    for request in coming:
        latents(pipeline, request)
    assert [role for role, _ in listed] == ["text_encoder", "transformer", "autoencoder"]
    assert pipeline.prompts.misses == 3


def test_nothing_is_encoded_ahead_where_the_encoder_stays(loads):
    pipeline, _ = loads(frozenset(Pipeline.open(MINI).folder.components))
    latents(pipeline, asked("a beach"), lambda: [asked("a forest")])
    assert pipeline.prompts.misses == 1
