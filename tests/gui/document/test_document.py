"""The window's view-model: changes, pictures, runs that become takes, saving."""

import json
from pathlib import Path

import pytest
from PySide6.QtCore import QSize
from PySide6.QtGui import QColor, QImage

from app.base import paths
from app.base.words import say_stage
from app.board import commands
from app.board.data import Picture, Settings, Source
from app.board.panel_job import require_memory, resolve
from app.board.seen import list_out_of_date
from app.cli.say import Reporter
from app.engine import running
from app.fluxboard.file import BoardFile
from app.gui.board import drop
from app.gui.board.paint import running_words
from app.gui.document import picture_drag
from app.gui.document.document import Document
from app.gui.document.runs import PanelState
from app.gui.pages.downloads import Download, after
from app.gui.panel.render_bar import words_of
from app.models import library
from app.pictures.images import open_picture
from mlx_model import memory
from mlx_model.events import Cancelled, Stage
from mlx_model.request import MAX_SEED
from tests.app.models.made_models import fine_tune


def takes(document, panel_id):
    return document.board.panel(panel_id).takes


def test_a_change_is_told_once_undone_and_done_again(document, ids, qtbot):
    first, told = ids()[0], []
    document.changed.connect(lambda old, new: told.append((old, new)))
    before = document.board
    document.do("Edit", commands.set_panel(before, first, action="waves"))
    document.do("Nothing", document.board)
    assert told == [(before, document.board)]
    document.undo()
    assert document.board == before
    document.undo()
    document.redo()
    assert document.board.panel(first).action == "waves"
    assert len(told) == 3


def test_it_saves_itself_within_two_seconds(document, ids, qtbot, tmp_path):
    with qtbot.waitSignal(document.dirty_changed):
        document.do("Edit", commands.set_panel(document.board, ids()[0], action="waves"))
    assert document.dirty
    qtbot.waitUntil(lambda: not document.dirty, timeout=2000)
    saved = json.loads((document.file.path / "board.json").read_bytes())
    assert saved["scenes"][0]["panels"][0]["action"] == "waves"


@pytest.mark.sweep
def test_the_timer_is_not_put_off_by_further_changes(document, ids, qtbot):
    for number in range(8):
        document.do("Edit", commands.set_panel(document.board, ids()[0], action=str(number)))
        qtbot.wait(230)
    qtbot.waitUntil(lambda: document.file.board.panel(ids()[0]).action != "", timeout=400)


def test_what_was_not_saved_is_in_the_journal(document, ids, qtbot):
    document.do("Edit", commands.set_panel(document.board, ids()[0], action="waves"))
    qtbot.waitUntil(lambda: (document.file.path / "journal").exists(), timeout=1000)


def test_a_finished_job_becomes_a_take(document, engine, ids, picture_file):
    first = ids()[0]
    document.render([first])
    assert document.panel_state(first).state == "running"
    engine.step(1, 4, left=9.0)
    state = document.panel_state(first)
    assert (state.step, state.total, state.left) == (1, 4, 9.0)
    engine.done(picture_file("result.png"), seconds=2.5)
    (take,) = takes(document, first)
    assert (take.seconds, take.model) == (2.5, "mini")
    assert json.loads(take.request)["prompt"] == "a gull at the beach"
    assert document.picture_path(take.picture.sha256).is_file()
    assert document.panel_state(first).state == "done"


def test_no_undo_loses_a_take(document, engine, ids, picture_file):
    first = ids()[0]
    document.do("Edit", commands.set_panel(document.board, first, action="waves"))
    document.render([first])
    document.do("Edit", commands.set_panel(document.board, first, action="waves more"))
    engine.done(picture_file())
    document.undo()
    document.undo()
    assert document.board.panel(first).action == ""
    assert len(takes(document, first)) == 1


def test_the_take_of_a_deleted_panel_comes_back_with_it(document, engine, ids, picture_file):
    first = ids()[0]
    document.render([first])
    document.do("Delete Panel", commands.remove_panels(document.board, [first]))
    engine.done(picture_file())
    assert first not in ids()
    document.undo()
    assert len(takes(document, first)) == 1


def test_a_failure_stands_at_its_panel_with_its_reason_until_it_is_rendered_again(document, engine, ids, qtbot):
    first = ids()[0]
    document.render([first])
    with qtbot.waitSignal(document.message) as said:
        engine.fail("The machine ran out of memory.", "Use a smaller size.")
    assert said.args == ["Panel 1A: The machine ran out of memory.", "Use a smaller size."]
    state = document.panel_state(first)
    assert (state.state, state.reason, state.hint) == (
        "failed",
        "The machine ran out of memory.",
        "Use a smaller size.",
    )
    document.render([first])
    assert document.panel_state(first).state == "running"


@pytest.fixture
def said(document):
    """The messages of the document that still hold."""
    there = []
    document.message.connect(lambda text, hint: there.append(text))
    document.mended.connect(lambda text: there.remove(text) if text in there else None)
    return there


def change(document, panel_id, **fields):
    document.do("Change", lambda board: commands.set_panel(board, panel_id, **fields))


MENDS = {
    "the panel is deleted": lambda document, one: document.do("Delete", lambda b: commands.remove_panels(b, [one])),
    "another model is chosen": lambda document, one: change(document, one, settings=Settings(model="flux2-klein-4b")),
    "its words are others": lambda document, one: change(document, one, prompt="a cat"),
    "it has another number": lambda document, one: document.do(
        "Move", lambda board: commands.move_panels(board, [one], board.scenes[0].id, 1)
    ),
    "it is dismissed": lambda document, one: document.cancel(one),
    "the program's model is another": lambda document, one: (
        setattr(document, "model", "flux2-klein-4b"),
        document.review(),
    ),
}


@pytest.mark.parametrize("mend", MENDS.values(), ids=MENDS)
def test_a_failure_is_told_as_long_as_it_is_so(document, engine, ids, said, mend, qtbot):
    first, second = ids()[:2]
    document.render([first])
    engine.fail("The machine ran out of memory.")
    text = "Panel 1A: The machine ran out of memory."
    change(document, second, prompt="another panel")
    change(document, first, notes="not for the model", seconds=3.0)
    assert said == [text]
    mend(document, first)
    qtbot.waitUntil(lambda: said == [])


def test_a_refusal_goes_when_the_board_would_take_the_change(document, ids, said):
    gone = ids()[0]
    before = document.board
    document.do("Delete", lambda board: commands.remove_panels(board, [gone]))
    assert document.continue_from(gone) == ""
    document.do("Add", lambda board: commands.add_scene(board))
    assert said == ["That panel is no longer in the board."]
    document.do("Restore", before)
    assert said == []


def test_a_folder_that_is_back_is_no_longer_missed(document, monkeypatch):
    gone, there = [True], []
    monkeypatch.setattr(type(document.file), "is_gone", property(lambda _: gone[0]))
    document.lasting.connect(lambda text, _: there.append(text))
    document.mended.connect(there.remove)
    document.look_around()
    assert there == [f"{document.file.path.name} is no longer there."]
    gone[0] = False
    document._again.timeout.emit()  # without a look at another window in between
    assert there == []


def test_what_is_refused_for_want_of_a_model_is_forgotten_when_one_comes(document, ids, said, qtbot):
    change(document, ids()[0], settings=Settings(model="flux2-klein-9b"))
    document.render([ids()[0]])
    assert len(said) == 1
    document.forget_refusals()
    qtbot.waitUntil(lambda: (said, document.panel_state(ids()[0]).state) == ([], "empty"))


def test_a_panel_without_words_fails_at_once_and_says_why(document, engine, ids, qtbot):
    document.do("Edit", commands.set_panel(document.board, ids()[0], prompt=""))
    with qtbot.waitSignal(document.message):
        document.render(ids()[:2])
    assert document.panel_state(ids()[0]).state == "failed"
    assert "prompt" in document.panel_state(ids()[0]).reason
    assert [job.panel for job in engine.submitted] == [ids()[1]]


def test_of_many_panels_without_words_the_first_are_told(document, engine, ids):
    for _ in range(6):
        document.do("Add", lambda board: commands.add_panel(board, board.scenes[0].id))
    told = []
    document.message.connect(lambda text, hint: told.append(text))
    empty = ids()[3:]
    document.render(empty)
    assert [one.split()[0] for one in told] == ["Panel"] * 3 + ["3"]
    assert [document.panel_state(one).state for one in empty] == ["failed"] * 6


def test_panels_whose_jobs_end_all_at_once_no_longer_wait(document, engine, ids):
    engine.queue.kept = 1
    engine.pause()
    document.render(ids())
    told, jobs = [], [state.id for state in engine.jobs()]
    document.state_changed.connect(told.append)
    for job in jobs:
        engine.queue.drop(job)
    for job in jobs:  # of which the queue remembers the last alone, as the real one does of hundreds
        engine.finished.emit(job)
    assert told == ids()
    assert {document.panel_state(one).state for one in ids()} == {"empty"}
    assert document.runs.busy() == 0


def test_variations_have_seeds_of_their_own_and_cancel_takes_them_all(document, engine, ids):
    first = ids()[0]
    document.render([first], count=4)
    assert len({job.request.seed for job in engine.submitted}) == 4
    assert document.panel_state(first).waiting == 3
    document.cancel(first)
    assert document.panel_state(first).state == "empty"
    assert all(job.state == "cancelled" for job in engine.jobs())


def test_several_of_a_locked_seed_start_at_it(document, engine, ids):
    first = ids()[0]
    document.do("Lock", commands.set_panel(document.board, first, seed=2**32 - 1, seed_locked=True))
    document.render([first], count=3)
    seeds = [job.request.seed for job in engine.submitted]
    assert seeds == [2**32 - 1, *((2**32 - 1 + n) % (MAX_SEED + 1) for n in (1, 2))]


def test_a_paused_queue_is_told_by_the_panels_that_wait(document, engine, ids):
    document.render(ids()[:2])
    told = []
    document.state_changed.connect(told.append)
    engine.pause()
    assert ids()[1] in told
    assert [document.panel_state(one).paused for one in ids()] == [False, True, False]  # what runs goes on
    assert "paused" in words_of(document.panel_state(ids()[1]))
    engine.resume()
    assert not document.panel_state(ids()[1]).paused


def test_a_failure_names_panels_by_todays_numbers(document, engine, ids):
    first, second, third = ids()
    change = commands.set_panel(document.board, second, source=Source("panel", first))
    document.do("Source", change)
    document.render([second])
    assert "Panel 1B continues from panel 1A" in document.panel_state(second).reason
    scene = document.board.scenes[0].id
    document.do("Move", lambda board: commands.move_panels(board, (third,), scene, 0))
    assert "Panel 1C continues from panel 1B" in document.panel_state(second).reason
    said = []
    document.message.connect(lambda text, hint: said.append(text))
    document.render([third])
    document.do("Move back", lambda board: commands.move_panels(board, (third,), scene, 2))
    engine.fail("The lamp went out.")
    assert said == ["Panel 1C: The lamp went out."]


def test_a_cancelled_job_leaves_no_failure(document, engine, ids):
    document.render(ids()[:1])
    engine.say(Cancelled())
    assert document.panel_state(ids()[0]).state == "empty"


def test_live_jobs_make_no_takes(document, engine, ids, picture_file):
    import dataclasses

    from app.board.panel_job import panel_job

    job = panel_job(document.board, ids()[0], document.picture_path)
    document.runs.submit(dataclasses.replace(job, slot="live"))
    engine.done(picture_file())
    assert takes(document, ids()[0]) == ()


def test_apply_to_all_edits_the_takes_and_keeps_the_prompts(document, engine, ids, picture_file):
    document.render(ids()[:1])
    engine.done(picture_file())
    document.apply_to_all(ids()[:2], "make it night")
    job = engine.submitted[-1]
    assert job.panel == ids()[0]
    assert job.request.prompt == "make it night"
    assert job.request.references[0].sha256 == takes(document, ids()[0])[0].picture.sha256
    assert document.board.panel(ids()[0]).prompt == "a gull at the beach"
    assert document.panel_state(ids()[1]).state == "failed"


def test_several_pictures_asked_for_at_once_are_one_undo_and_nothing_is_out_of_date_then(
    document, engine, ids, picture_file
):
    first, second, third = ids()
    document.do("Continue", lambda board: commands.set_panel(board, second, source=Source("panel", first)))
    document.do("Say", lambda board: commands.set_panel(board, second, instruction="closer"))
    document.render(ids())
    for _ in range(3):
        engine.done(picture_file())
    document.watched = third  # the view of one of them is open
    before = document.board
    for act in (
        lambda: document.apply_to_all(ids(), "make it night"),
        lambda: document.render([first, third]),
        lambda: document.render([third], count=2),
    ):
        act()
        while engine.running:
            engine.done(picture_file())
        document.undo()
        assert [panel.current for panel in document.board.panels()] == [panel.current for panel in before.panels()]
        assert list_out_of_date(document.board) == list_out_of_date(before)


def test_pictures_of_a_press_that_come_out_of_sight_are_no_step(document, engine, ids, picture_file):
    for _ in range(2):
        document.render(ids()[:2])
        engine.done(picture_file())
        engine.done(picture_file())
        document.watched = ids()[2]
    assert not document.history.can_undo
    assert all(panel.take.number == 2 for panel in list(document.board.panels())[:2])


def test_continue_from_adds_a_panel_behind(document, ids):
    first = ids()[0]
    new = document.continue_from(first)
    assert ids()[1] == new
    assert document.board.panel(new).source.panel == first


def test_what_is_continued_or_added_after_it_is_gone_is_told_and_is_nothing(document, ids, picture_file):
    gone, scene = ids()[0], document.board.scenes[0].id
    picture = document.import_picture(picture_file())
    document.do("Delete Scene", lambda board: commands.remove_scene(board, scene))
    told = []
    document.message.connect(lambda *words: told.append(words[0]))
    assert document.continue_from(gone) == ""
    assert drop.add_pictures(document, scene, 0, [picture]) == ()
    drop.add_references(document, gone, [picture])
    assert told == ["That panel is no longer in the board.", "That scene is no longer in the board.", told[0]]


@pytest.mark.parametrize("kind", ["path", "image", "bytes"])
def test_pictures_come_in_from_anywhere(document, picture_file, kind):
    path = picture_file(colour=(10, 200, 30))
    source = {"path": path, "image": QImage(str(path)), "bytes": path.read_bytes()}[kind]
    picture = document.import_picture(source, "" if kind == "path" else "green")
    assert (picture.width, picture.height) == (160, 90)
    assert QImage(str(document.picture_path(picture.sha256))).pixelColor(5, 5) == QColor(10, 200, 30)


@pytest.mark.parametrize("ending", ["jpg", "webp", "tif"])
def test_a_file_is_kept_as_it_is_and_goes_out_so(document, picture_file, ending):
    path = picture_file(f"gull.{ending}")
    picture = document.import_picture(path)
    kept = document.picture_path(picture.sha256)
    assert (kept.suffix, kept.read_bytes()) == (path.suffix, path.read_bytes())
    out = Path(picture_drag.mime_of(document, picture, "a gull").urls()[0].toLocalFile())
    assert (out.name, open_picture(out).tolist()) == (f"a gull.{ending}", open_picture(path).tolist())
    pixel = QColor(document.pixmap_now(picture.sha256, 64).toImage().pixel(20, 20))
    assert max(abs(a - b) for a, b in zip(pixel.getRgb()[:3], open_picture(path)[20, 20], strict=True)) <= 2


def test_a_refused_picture_is_a_message(document, tmp_path, qtbot):
    bad = tmp_path / "drawing.pdf"
    bad.write_bytes(b"%PDF-1.7 nothing")
    with qtbot.waitSignal(document.message) as said:
        assert document.import_picture(bad) is None
    assert "drawing.pdf" in said.args[0]


def test_a_large_picture_is_decoded_in_another_thread(document, tmp_path, qtbot):
    import numpy as np

    picture = document.file.put_picture(np.random.default_rng(0).integers(0, 255, (400, 600, 3), dtype=np.uint8))
    assert document.pixmap(picture.sha256, 192).isNull()
    with qtbot.waitSignal(document.picture_ready) as ready:
        pass
    assert ready.args == [picture.sha256]
    assert document.pixmap(picture.sha256, 192).width() == 192
    assert document.pixmap(picture.sha256, 300).width() == 192  # stands in until its own size is there


def test_a_missing_picture_is_a_sign_and_no_crash(document):
    assert document.pixmap("0" * 64, 100).size() == QSize(100, 100)
    assert document.is_lost(Picture("0" * 64, 8, 8))
    assert document.pixmap_now("0" * 64).isNull()


def test_close_saves_and_lets_go(qapp, board_file, engine, ids, document):
    path = board_file.path
    document.do("Edit", commands.set_panel(document.board, ids()[0], action="last words"))
    document.close()
    with BoardFile.open(path) as again:
        assert next(again.board.panels()).action == "last words"
        assert again.recovered == ""


def test_a_board_for_reading_only_is_never_written(qapp, board_file, engine, qtbot):
    path = board_file.path
    board_file.close()
    with BoardFile.open(path, write=False) as file:
        document = Document(file, engine)
        document.do("Edit", commands.set_board(document.board, title="Other"))
        assert document.save() is False
        assert document.import_picture(b"nothing") is None
        document.close()
    with BoardFile.open(path) as again:
        assert again.board.title == "Harbour"


def test_a_fine_tune_of_another_size_is_forecast_as_the_network_that_runs(document, engine, ids, monkeypatch):
    """Not as the row of SPECS that it comes from: what does not fit would be put in line."""
    first, usual = ids()[0], library.find("mini").folder
    fine_tune("wide", hidden_size=192 * 64)
    choice = resolve(document.board, document.panel(first), "wide")
    needed = require_memory(document.board, document.panel(first), choice).peak
    enough = 2 * running.require_room(usual, choice.size).peak
    assert needed > 2 * enough
    monkeypatch.setattr(memory, "machine", lambda *_: memory.Machine("small", enough, enough, 1, False, None))
    document.model = "wide"
    document.render([first])
    assert engine.submitted == []
    assert document.panel_state(first).reason.startswith("Will not fit.")
    document.model = "mini"
    document.render([first])
    assert len(engine.submitted) == 1


def test_the_chosen_folder_goes_with_the_job_to_the_worker(document, engine, ids):
    folder = fine_tune("mine")
    document.model = "mine"
    document.render(ids()[:1])
    assert engine.submitted[0].model == str(folder)
    assert engine.submitted[0].request.model == str(folder)
    document.model = "mini"
    document.render(ids()[1:2])
    assert (engine.submitted[1].model, engine.submitted[1].request.model) == (str(paths.mini()), "mini")


@pytest.mark.parametrize("model", [None, "mine"])
def test_one_press_of_render_reads_one_model_json_once(window, engine, manifests_read, model):
    for name in ("all", "mine", "zebra"):
        fine_tune(name)
    document = window.document
    document.model = model
    manifests_read.clear()
    document.render([next(document.board.panels()).id])
    assert len(engine.submitted) == 1
    assert manifests_read == [str(Path(engine.submitted[0].model) / "model.json")]


def test_a_refusal_is_told_once_and_a_fault_is_none(document, ids):
    told, before = [], document.board
    document.message.connect(lambda *words: told.append(words))
    assert not document.do("Longer", lambda board: commands.set_panel(board, ids()[0], seconds=0.0))
    assert told == [("0.0 seconds are out of range.", "A panel lasts up to 3600 s.")]
    assert document.board is before

    def mistaken(board):
        raise ValueError("a mistake of ours")

    with pytest.raises(ValueError, match="of ours"):
        document.do("Mistake", mistaken)
    assert len(told) == 1


@pytest.mark.parametrize("stage", ["text", "references", "decode", "download", "ask"])
def test_a_stage_has_one_name_wherever_it_is_shown(stage, capsys):
    told = say_stage(stage)
    assert told != stage.capitalize()
    assert words_of(PanelState("running", stage=stage)) == told
    assert running_words(PanelState("running", stage=stage)) == told
    assert after(Download("m", 8), Stage(stage)).words == told
    Reporter(False)(Stage(stage))
    assert told in capsys.readouterr().err
