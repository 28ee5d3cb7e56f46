"""Live mode in the panel view, with a scripted engine; what draft and full picture share, with the built-in model."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.board import commands
from app.board.data import Source
from app.gui.document import live
from mlx_model.geometry import Size
from mlx_model.request import Reference, Request, check
from mlx_model.run.pipeline import Pipeline
from mlx_model.specs import SPECS
from tests.gui.panel_board import add_take, shown_panel

LEFT = Qt.MouseButton.LeftButton
MINI = Path(__file__).parents[3] / "assets" / "mini"


@pytest.fixture
def view(document, ids, qtbot):
    made = shown_panel(document, ids()[0], qtbot)
    made.activateWindow()
    qtbot.waitUntil(made.edit.text.hasFocus)
    return made


@pytest.fixture
def quick(view, monkeypatch):
    """Drafts come at once, full pictures when told to `rest`; drafts have fewer pixels than the built-in model's."""
    monkeypatch.setattr(live, "AREA", 128 * 128)
    view.live._pause.setInterval(20)
    view.live._rest.setInterval(10**6)
    return view


def rest(view, engine, qtbot, count):
    """Nothing is changed for long; `count`: how many jobs there are then."""
    view.live._rest.start(0)
    qtbot.waitUntil(lambda: len(engine.submitted) == count)
    view.live._rest.setInterval(10**6)


def is_at_rest(view):
    return not any(timer.isActive() for timer in (view.live._pause, view.live._rest))


def sizes(engine):
    return [job.request.size for job in engine.submitted]


def start(view, engine, qtbot, count=1):
    view.edit.render_bar.live.setChecked(True)
    qtbot.waitUntil(lambda: len(engine.submitted) == count)


def test_live_mode_waits_for_a_pause_and_the_latest_wins(view, engine, picture_file, qtbot):
    canvas = view.stage.canvas.geometry()
    start(view, engine, qtbot)
    QTest.keyClicks(view.edit.text, " at night")
    assert len(engine.submitted) == 1  # still typing
    qtbot.waitUntil(lambda: len(engine.submitted) == 2)
    first, second = engine.submitted
    assert (first.slot, first.request.seed) == (second.slot, second.request.seed)
    assert engine.job(first.id).state == "cancelled"
    assert second.request.prompt.endswith("at night")
    assert second.request.steps == 2
    engine.done(picture_file("draft.png", "green"))
    assert view.stage.canvas.preview.toImage().pixelColor(4, 4).name() == "#008000"
    assert view.edit.hint.text().startswith("Draft of 320 × 192, made in ")
    qtbot.waitUntil(lambda: len(engine.submitted) == 3)
    full = engine.submitted[2]
    assert (full.slot, full.request.seed, full.request.steps) == (first.slot, first.request.seed, 4)
    engine.preview(picture_file("step.png", "red"))
    assert view.stage.canvas.preview.toImage().pixelColor(4, 4).name() == "#008000", "a draft is more than a step"
    engine.done(picture_file("live.png", "yellow"))
    assert view.stage.canvas.preview.toImage().pixelColor(4, 4).name() == "#ffff00"
    assert view.panel.takes == ()
    QApplication.processEvents()
    assert view.stage.canvas.geometry() == canvas, "the picture stays put"
    assert not view.stage.card.isVisible(), "it would hide the foot of the picture"
    assert view.edit.keep.text() == "Keep as Take"
    QTest.mouseClick(view.edit.keep, LEFT)
    assert view.edit.keep.isHidden()
    assert "Draft" not in view.edit.hint.text()
    (take,) = view.panel.takes
    assert json.loads(take.request)["prompt"].endswith("at night")
    assert view.stage.canvas.preview.isNull()


def test_a_drag_makes_small_drafts_alone_and_a_pause_the_full_picture(quick, engine, picture_file, qtbot):
    start(quick, engine, qtbot)
    for number in (2, 3, 4):
        quick.side.settings.guidance.setValue(number)
        qtbot.waitUntil(lambda number=number: len(engine.submitted) == number)
        engine.done(picture_file("draft.png", "green"))
    assert len(set(sizes(engine))) == 1
    draft = engine.submitted[-1].request
    assert (draft.steps, draft.guidance, draft.size) == (2, 4, Size(160, 96))
    rest(quick, engine, qtbot, 5)
    full = engine.submitted[-1].request
    assert (full.steps, full.guidance, full.size) == (4, 4, Size(320, 192))
    engine.done(picture_file("full.png", "yellow"))
    assert not quick.live.is_draft


def test_the_steps_of_a_newer_draft_are_seen_over_an_older_picture(quick, engine, picture_file, qtbot):
    start(quick, engine, qtbot)
    engine.done(picture_file("draft.png", "green"))
    quick.side.settings.guidance.setValue(3)
    qtbot.waitUntil(lambda: len(engine.submitted) == 2)
    assert engine.submitted[1].previews
    engine.preview(picture_file("step.png", "red"))
    assert quick.stage.canvas.preview.toImage().pixelColor(4, 4).name() == "#ff0000"


def test_of_a_draft_that_is_kept_the_full_picture_becomes_a_take(quick, engine, ids, picture_file, qtbot):
    """Also where it starts from the panel's own take, and where the panel is changed meanwhile."""
    document = quick.document
    add_take(document, ids()[0], 1)
    edit = commands.set_panel(document.board, ids()[0], source=Source("take"), instruction="night")
    document.do("Edit", edit)
    start(quick, engine, qtbot)
    engine.done(picture_file("draft.png", "green"))
    assert quick.edit.keep.text() == "Keep Full Picture"
    QTest.mouseClick(quick.edit.keep, LEFT)
    assert quick.edit.keep.isHidden()
    assert quick.stage.canvas.preview.toImage().pixelColor(4, 4).name() == "#008000", "it is seen until the take is"
    full = engine.running.job
    assert (full.slot, full.request.steps) == (None, 4)
    document.do("Words", commands.set_panel(document.board, ids()[0], instruction="day"))
    qtbot.waitUntil(lambda: len(engine.submitted) == 3)
    assert engine.running.job == full, "a newer draft waits for it"
    engine.done(picture_file("full.png", "yellow"))
    qtbot.waitUntil(lambda: len(quick.panel.takes) == 2)
    assert json.loads(quick.panel.takes[1].request)["prompt"] == "night"
    assert quick.panel.takes[1].request == full.request.to_json()


def test_a_full_picture_on_its_way_is_not_begun_anew_for_a_take(quick, engine, picture_file, qtbot):
    start(quick, engine, qtbot)
    engine.done(picture_file("draft.png", "green"))
    rest(quick, engine, qtbot, 2)
    quick.keep_live()
    assert (engine.running.id, engine.running.job.slot) == (engine.submitted[1].id, None)
    quick.side.settings.guidance.setValue(3)
    qtbot.waitUntil(lambda: len(engine.submitted) == 3)
    engine.done(picture_file("full.png", "yellow"))
    assert [json.loads(take.request)["guidance"] for take in quick.panel.takes] == [2.0]
    assert quick.stage.canvas.preview.isNull()
    engine.done(picture_file("draft.png", "green"))
    assert quick.live.is_draft


def test_a_draft_whose_full_picture_fails_is_taken_away_with_the_reason(quick, engine, picture_file, qtbot):
    start(quick, engine, qtbot)
    engine.done(picture_file("draft.png", "green"))
    quick.keep_live()
    engine.fail("The lamp went out.")
    assert quick.panel.takes == ()
    assert quick.stage.canvas.preview.isNull()
    assert quick.edit.hint.text() == "The lamp went out."


def test_what_is_discarded_makes_no_take(quick, engine, picture_file, qtbot):
    start(quick, engine, qtbot)
    engine.done(picture_file("draft.png", "green"))
    QTest.mouseClick(quick.edit.discard, LEFT)
    assert engine.running is None
    assert len(engine.submitted) == 1
    assert quick.stage.canvas.preview.isNull()


def test_a_live_result_that_is_kept_runs_nothing_again(quick, engine, ids, picture_file, qtbot):
    """Also where the panel starts from its own take; going on from another one does run."""
    document = quick.document
    add_take(document, ids()[0], 1)
    document.do("Edit", commands.set_panel(document.board, ids()[0], source=Source("take")))
    start(quick, engine, qtbot)
    engine.done(picture_file("draft.png", "green"))
    rest(quick, engine, qtbot, 2)
    engine.done(picture_file("live.png", "yellow"))
    seen = quick.stage.strip.seen
    qtbot.waitUntil(lambda: seen.text() == "Not a take yet")
    quick.keep_live()
    qtbot.waitUntil(lambda: len(quick.panel.takes) == 2)
    qtbot.waitUntil(lambda: seen.text().startswith("Take 2"))
    assert is_at_rest(quick), "what is seen was kept"
    assert len(engine.submitted) == 2
    kept = Source("take", take=quick.panel.takes[1].id)
    document.do("Go On", lambda board: commands.set_panel(board, ids()[0], source=kept))
    qtbot.waitUntil(lambda: len(engine.submitted) == 3)


def test_a_change_while_the_full_picture_runs_is_drafted_first(quick, engine, picture_file, qtbot):
    start(quick, engine, qtbot)
    engine.done(picture_file("draft.png", "green"))
    rest(quick, engine, qtbot, 2)
    QTest.keyClicks(quick.edit.text, " at night")
    qtbot.waitUntil(lambda: len(engine.submitted) == 3)
    assert engine.job(engine.submitted[1].id).state == "cancelled"
    assert [job.request.steps for job in engine.submitted] == [2, 4, 2]
    quick.live._rest.start(0)
    qtbot.waitUntil(lambda: not quick.live._rest.isActive())
    assert len(engine.submitted) == 3, "the full picture waits for its draft"
    engine.done(picture_file("draft.png", "green"))
    assert len(engine.submitted) == 4


def test_live_mode_says_what_is_missing_and_stops_when_left(view, engine, ids, qtbot):
    start(view, engine, qtbot)
    QTest.keyClicks(view.edit.text, " @nob")
    qtbot.waitUntil(lambda: "@nob" in view.edit.hint.text())
    assert len(engine.submitted) == 1
    view.show_panel(ids()[1])
    assert not view.edit.render_bar.live.isChecked()
    assert view.edit.hint.text().startswith("@ mentions a picture")
    assert is_at_rest(view)
    assert len(engine.submitted) == 1


def test_a_draft_of_live_has_no_step_cache(view, engine, qtbot):
    view.side.settings.steps.setValue(20)
    view.side.settings.step_cache.setValue(0.1)
    start(view, engine, qtbot)
    draft = engine.submitted[0].request
    assert (draft.steps, draft.step_cache) == (6, None)


def test_live_mode_ends_when_the_view_is_left(view, engine, qtbot):
    start(view, engine, qtbot)
    view.hide()
    assert not view.edit.render_bar.live.isChecked()
    assert engine.running is None


# What a draft is


def test_steps_of_a_draft():
    assert [live.choose_steps(full) for full in (1, 2, 4, 8, 16, 28, 50)] == [1, 2, 2, 2, 5, 8, 8]


@pytest.mark.parametrize("name", [name for name, spec in SPECS.items() if spec.takes_text])
def test_a_draft_is_a_request_that_its_model_takes(name):
    spec = SPECS[name]
    given = (Reference(),) if spec.needs_picture else ()
    for shape in ((1024, 1024), (1360, 768), (768, 1344), (1568, 656), (512, 512), (256, 256)):
        if shape[0] * shape[1] > spec.max_pixels or any(side % spec.size_multiple for side in shape):
            continue
        size = live.choose_draft_size(Size(*shape), spec)
        assert size.area <= max(live.AREA, 1)
        assert abs(size.width / size.height / (shape[0] / shape[1]) - 1) < 0.06
        whole = Request(name, "a gull", *size, references=given, outpaint=None)
        if spec.pictures != "erased":  # which needs a mask
            assert check(whole, spec).size == size
    assert live.choose_draft_size(Size(512, 512), spec) == (512, 512)
    assert live.choose_draft_size(Size(256, 256), spec) == (256, 256)


def test_references_are_seen_smaller_where_no_bank_keeps_them():
    def seen(name, **given):
        spec = SPECS[name]
        request = check(Request(name, "night", 1024, 1024, references=(Reference(),), **given), spec)
        return live.make_draft(request, spec).reference_size

    names = ("flux2-klein-4b", "flux2-klein-9b-kv", "flux1-kontext-dev", "mini")
    assert [seen(name) for name in names[:3]] == [live.AREA, None, None]
    assert seen("flux2-klein-9b-kv", reference_size=4 * 2**20) == 4 * 2**20
    request = check(Request("mini", "night", references=(Reference(),)), SPECS["mini"])
    assert live.make_draft(request, SPECS["mini"]) == dataclasses.replace(request, steps=2)


def test_draft_and_full_picture_share_words_and_references(monkeypatch):
    """Of a model that keeps its references: nothing is encoded, no text and no picture, and no bank made, for both."""
    monkeypatch.setattr(live, "AREA", 64 * 64)
    pipeline = Pipeline.open(MINI, "float32")
    pipeline.spec = dataclasses.replace(pipeline.spec, reference_bank=True)
    pixels = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    full = Request("mini", "night", 128, 128, steps=3, references=(Reference(pixels=pixels),))
    full = check(full, pipeline.spec)

    def run(request):
        *_, done = pipeline.run(request)
        return done.pixels.shape[:2], [kept.misses for kept in (pipeline.prompts, pipeline.encoded, pipeline.banks)]

    draft = live.make_draft(full, pipeline.spec)
    size, once = run(draft)
    assert (size, once[2]) == ((64, 64), 1)
    assert run(full) == ((128, 128), once)
    assert run(dataclasses.replace(draft, seed=5)) == ((64, 64), once)
