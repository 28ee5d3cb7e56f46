"""Teaching a member of the cast: the menu, the dialog, the job, and what becomes of what was learned."""

import dataclasses
from pathlib import Path

import pytest
from msgspec.structs import replace
from PySide6.QtCore import QPoint
from PySide6.QtGui import QContextMenuEvent
from PySide6.QtWidgets import QMenu

from app.board import commands
from app.board.data import Taught
from app.engine.jobs import JobState
from app.gui.document.runs import Runs
from app.gui.document.teaching import Teaching
from app.gui.pages.cast_view import make_members
from app.gui.pages.teach import TeachDialog
from mlx_model.events import Preview, Stage
from tests.app.fake_engine import FakeEngine
from tests.model.store.made_loras import low_rank, peft, save


@pytest.fixture
def member(window, picture_file):
    """Of one picture, on the page."""
    document = window.document
    picture = document.import_picture(str(picture_file("bobo.png")))
    (made,) = make_members([picture], document.board)
    document.do("Add", lambda board: commands.add_member(board, made))
    window.go("cast")
    window.page("cast").show_member(made.id)
    return made


@pytest.fixture
def dialog(window, member, picture_file, qtbot):
    """With five pictures, one of them with words beside it."""
    made = TeachDialog(window.document, member)
    qtbot.addWidget(made)
    files = [picture_file(f"more{n}.png", (40 * n, 9, 9)) for n in range(4)]
    Path(files[1]).with_suffix(".txt").write_text("in the snow")
    made.add_files([str(file) for file in files])
    return made


def test_the_menu_of_a_card_teaches(window, member):
    cards = window.page("cast").list
    cards.contextMenuEvent(QContextMenuEvent(QContextMenuEvent.Reason.Keyboard, QPoint(), QPoint()))
    menu = cards.findChild(QMenu)
    assert [action.text() for action in menu.actions() if action.text()] == [
        "Teach This Character…",
        "Remove from Cast",
    ]
    menu.close()
    cards.contextMenuEvent(QContextMenuEvent(QContextMenuEvent.Reason.Mouse, QPoint(-9, -9), QPoint()))


def test_a_prop_is_no_character(window, member):
    window.document.do("Role", commands.set_member(window.document.board, member.id, role="prop"))
    assert window.page("cast").member.taught.begin.text() == "Teach This Prop…"


def test_captions_are_proposed_and_too_few_pictures_refused(dialog, member):
    words = [one.caption.text() for one in dialog.examples]
    assert words == [member.name, member.name, f"{member.name} in the snow", member.name, member.name]
    assert dialog.start.isEnabled()
    assert "Predicted" in dialog.told.text()
    dialog.leave_out(dialog.examples[0])
    assert not dialog.start.isEnabled()
    assert "too few" in dialog.told.text()


def begin(dialog, window) -> JobState:
    dialog.examples[0].caption.setText("a toy")
    dialog.steps.setValue(7)
    dialog.begin()
    return next(job for job in window.document.engine.jobs() if job.job.lesson)


def test_a_lesson_goes_into_the_queue_and_its_pictures_to_the_member(dialog, window, member):
    window.document.engine.pause()
    job = begin(dialog, window)
    lesson = job.job.lesson
    assert (lesson.name, lesson.steps, lesson.member) == (member.name, 7, member.id)
    assert lesson.captions[0] == "a toy"
    assert all(Path(file).is_file() for file in lesson.pictures)
    assert len(window.document.board.member(member.id).pictures) == 5
    window.page("queue").refresh()
    assert job.id in window.page("queue").rows


@pytest.fixture
def restart(window):
    """A function that gives the lessons of the same board in a new program, and its engine."""

    def run() -> tuple[Teaching, FakeEngine]:
        document, engine = window.document, FakeEngine()
        runs = Runs(engine, document)
        say = window.document.message.emit
        return Teaching(runs, document.history, document.do, document.save, say, document.picture_path), engine

    return run


def test_a_lesson_that_was_left_is_gone_on_with_after_a_restart(dialog, window, member, restart):
    window.document.engine.pause()
    lesson = begin(dialog, window).job.lesson
    assert window.document.teaching.left(member.id) is None  # it is in line
    again, engine = restart()
    assert again.left(member.id).lesson == lesson
    again.go_on(member.id)
    assert [job.lesson for job in engine.submitted] == [lesson]
    again.go_on(member.id)
    again.again(engine.submitted[0])
    assert len(engine.submitted) == 1


def test_a_lesson_that_was_left_finds_its_pictures_where_the_board_is_now(dialog, window, member, restart):
    window.document.engine.pause()
    lesson = begin(dialog, window).job.lesson
    note = Path(f"{lesson.out}.json")
    note.write_text(note.read_text().replace(str(Path(lesson.pictures[0]).parent), "/moved"))
    again, engine = restart()
    again.go_on(member.id)
    assert engine.submitted[0].lesson == lesson


def test_a_lesson_is_left_until_the_member_has_what_was_learned(dialog, window, member, tmp_path, restart):
    window.document.engine.pause()
    job = begin(dialog, window)
    stopped = dataclasses.replace(job, state="cancelled")
    window.document.runs.finished.emit(stopped)
    assert restart()[0].left(member.id)
    parts = peft("diffusion_model.double_blocks.0.img_attn.qkv", *low_rank(0, 576, 192))
    file = save(tmp_path / f"{member.name}.safetensors", parts, {})
    window.document.runs.finished.emit(dataclasses.replace(job, state="done", result=str(file)))
    assert restart()[0].left(member.id) is None


def test_the_buttons_of_a_lesson_stand_above_its_pictures(dialog, window, member, picture_file):
    """Stop was pushed out of sight by what the model painted."""
    job = begin(dialog, window)
    box, engine = window.page("cast").member.taught, window.document.engine
    known, sheet = Path(job.job.lesson.out) / "prior" / "0000.png", Path(job.job.lesson.out) / "samples" / "step.png"
    for file in (known, sheet):
        file.parent.mkdir(parents=True)
        picture_file("shown.png").rename(file)
    for event in (Stage("prior", total=10), Preview(1, str(known))):
        engine.say(event)
    assert box.samples.isVisibleTo(box)
    assert box.samples.accessibleName() == "What the model knows"
    window.resize(1280, 800)
    window.show()
    assert box.stop.mapTo(box, QPoint()).y() < box.samples.mapTo(box, QPoint()).y()
    engine.say(Stage("train", total=7))
    assert not box.samples.isVisibleTo(box)  # what it knew is no sample of what it learns
    engine.say(Preview(2, str(sheet)))
    assert box.samples.isVisibleTo(box)
    assert box.samples.accessibleName().startswith("Samples")


def test_a_lesson_that_was_left_is_offered_beside_the_member_and_can_be_discarded(dialog, window, member, monkeypatch):
    lesson = begin(dialog, window).job.lesson
    box = window.page("cast").member.taught
    assert (box.stop.isVisibleTo(box), box.go_on.isVisibleTo(box)) == (True, False)
    Path(lesson.out).mkdir(parents=True)
    (Path(lesson.out) / "log.jsonl").write_text('{"step": 1}\n{"step": 2}\n')
    box.stop.click()
    assert (box.stop.isVisibleTo(box), box.go_on.isVisibleTo(box)) == (False, True)
    assert box.words.text() == "Built-in model was learning it, and stopped after step 2 of 7."
    box.go_on.click()
    assert (box.stop.isVisibleTo(box), box.go_on.isVisibleTo(box)) == (True, False)
    box.stop.click()
    monkeypatch.setattr("app.gui.pages.teach.sure", lambda *words: True)
    box.discard.click()
    assert not box.go_on.isVisibleTo(box)
    assert list(Path(lesson.out).parent.iterdir()) == []


def test_what_was_learned_goes_to_the_member_and_can_be_forgotten(dialog, window, member, tmp_path):
    window.document.engine.pause()
    job = begin(dialog, window)
    parts = peft("diffusion_model.double_blocks.0.img_attn.qkv", *low_rank(0, 576, 192))
    file = save(tmp_path / f"{member.name}.safetensors", parts, {})
    window.document.runs.finished.emit(dataclasses.replace(job, state="done", result=str(file)))
    taught = Taught("mini", member.name, member.name)
    assert window.document.board.member(member.id).taught == (taught,)
    box = window.page("cast").member.taught
    (line,) = box._lines
    line.strength.slider.setValue(14)
    line.strength.slider.setValue(12)
    assert box._lines == [line]  # a slider that is made anew would be let go of
    assert window.document.board.member(member.id).taught == (replace(taught, strength=0.6),)
    window.document.undo()
    assert window.document.board.member(member.id).taught == (taught,)
    assert line.strength.number.value() == 1.0
    window.document.teaching.forget(member.id, taught)
    assert window.document.board.member(member.id).taught == ()
    window.document.undo()
    assert window.document.board.member(member.id).taught == (taught,)
