"""Cast, queue, models, downloads, settings, animatic, quick look, import, export, restore points, samples."""

import dataclasses
import json
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDialog, QFileDialog, QMenu, QProgressDialog, QPushButton, QWidget

from app.base import paths, settings
from app.base.words import SHOW_IN_FILES
from app.board import commands
from app.board.data import COLOURS, new_board
from app.board.panel_job import panel_job
from app.board.seen import list_out_of_date
from app.fluxboard import samples
from app.gui.pages.downloads import Download, Downloads, after
from app.gui.pages.found import FoundDialog
from app.interchange.formats import export_board
from mlx_model.events import Failed, Stage, Step

# Cast


def dropped(widget, *paths, at=(5, 5)) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    flags = Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    widget.dropEvent(QDropEvent(QPointF(*at), *flags))


@pytest.fixture
def cast(window, picture_file):
    window.go("cast")
    view = window.page("cast")
    dropped(
        view, picture_file("gull.png"), picture_file("fox 1.png", (200, 90, 10)), picture_file("hat.png", (1, 1, 1))
    )
    return view


def test_three_pictures_dropped_become_three_members_with_names_and_colours(cast, window):
    members = window.document.board.cast
    assert [member.name for member in members] == ["gull", "fox-1", "hat"]
    assert len({member.colour for member in members}) == 3
    assert cast.stack.currentIndex() == 0
    assert cast.member.member_id == members[-1].id


def test_a_picture_dropped_on_a_member_is_added_to_it(cast, window, picture_file):
    rect = cast.list.visualRect(cast.model.index(0))
    dropped(cast.list, picture_file("more.png", (3, 3, 3)), at=(rect.center().x(), rect.center().y()))
    assert [len(member.pictures) for member in window.document.board.cast] == [2, 1, 1]


def test_a_new_name_follows_into_the_prompts(cast, window):
    first = next(window.document.board.panels()).id
    window.document.do("Edit", commands.set_panel(window.document.board, first, prompt="@gull at the beach"))
    cast.show_member(window.document.board.cast[0].id)
    assert "1 panel" in cast.member.used.text()
    cast.member.name.setText("@Sea Gull")
    cast.member.name.editingFinished.emit()
    assert window.document.board.panel(first).prompt == "@Sea-Gull at the beach"


def test_the_button_that_removes_a_member_is_seen_whole_beside_a_message(cast, window, qtbot):
    window.resize(900, 600)
    window.say("Something was done.", "And what follows.", True)
    remove = next(one for one in cast.findChildren(QPushButton) if one.text() == "Remove from Cast")
    qtbot.waitUntil(lambda: window.toasts.isVisible() and remove.visibleRegion().boundingRect() == remove.rect())


def test_role_colour_pictures_notes_and_removal(cast, window, qtbot):
    board = lambda: window.document.board.cast[2]  # noqa: E731
    cast.member.role.setCurrentIndex(1)
    cast.member.role.activated.emit(1)
    assert board().role == "prop"
    cast.member.colours.button(7).click()
    assert board().colour == COLOURS[7]
    qtbot.keyClicks(cast.member.notes, "black")
    assert board().notes == "black"
    cast.member.pictures.setCurrentRow(0)
    qtbot.keyClick(cast.member.pictures, Qt.Key.Key_Delete)
    assert board().pictures == ()
    cast.member.remove()
    assert len(window.document.board.cast) == 2
    window.document.undo()
    assert len(window.document.board.cast) == 3


# Queue


def test_the_queue_shows_and_stops_jobs(window, engine, picture_file, qtbot):
    ids = [panel.id for panel in window.document.board.panels()]
    window.document.render(ids)
    window.go("queue")
    queue = window.queue
    jobs = [state.id for state in engine.jobs()]
    engine.step(2, 8, left=30)
    row = queue.rows[jobs[0]]
    assert (row.title.text(), row.prompt.text()) == ("Panel 1A", "a gull at the beach")
    assert row.words.text() == "Step 2 of 8 · 30 s left · Built-in model"
    assert (row.progress.value(), row.progress.maximum()) == (2, 8)
    queue.rows[jobs[2]].next.click()
    assert [state.id for state in engine.jobs()][:3] == [jobs[0], jobs[2], jobs[1]]
    queue.rows[jobs[1]].stop.click()
    assert engine.job(jobs[1]).state == "cancelled"
    engine.worker_dies()
    assert "died" in queue.rows[jobs[0]].words.text()
    queue.rows[jobs[0]].retry.click()
    assert [job.panel for job in engine.submitted].count(ids[0]) == 2
    queue.pause.click()
    assert engine.paused
    assert queue.pause.text() == "Continue"
    queue.cancel_all.click()
    assert all(state.over for state in engine.jobs())
    qtbot.waitUntil(lambda: not queue.cancel_all.isEnabled())


def test_of_live_runs_the_last_stands_in_the_queue(window, engine, picture_file):
    """Each letter left rows of drafts between the pictures."""
    ids = [panel.id for panel in window.document.board.panels()]
    window.document.render(ids[1:2])
    engine.done(picture_file())
    made = panel_job(window.document.board, ids[0], window.document.picture_path, slot="live")
    for name in "abc":
        window.document.runs.submit(dataclasses.replace(made, id=f"{made.id}{name}"))
    window.go("queue")
    assert [job_id[-1] for job_id in window.queue.rows if job_id.startswith(made.id)] == ["c"]
    engine.done(picture_file())
    window.queue.refresh()
    assert [job_id[-1] for job_id in window.queue.rows if job_id.startswith(made.id)] == ["c"]
    assert len(window.queue.rows) == 2


# Models and downloads

SCRIPT = """
    import sys, time, json
    print("noise that is no event", flush=True)
    say = lambda **event: print(json.dumps(event), flush=True)
    say(event="stage", name="download", detail="", total=4)
    say(event="step", step=1, total=4, seconds=1.0, left=90.0)
    if "slow" in sys.argv:
        time.sleep(60)
    if "bad" in sys.argv:
        say(event="failed", code="DiskFull", message="The disk is full.", hint="Free some space.")
        sys.exit(4)
    say(event="stage", name="convert", detail="", total=2)
    say(event="step", step=2, total=2, seconds=1.0, left=0.0)
"""


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(SCRIPT))
    return (sys.executable, str(path))


@pytest.fixture
def downloads(qapp, program):
    """A function that makes Downloads whose command line behaves as told."""
    made = []

    def make(*words: str, program=program) -> Downloads:
        made.append(Downloads(program=(*program, *words)))
        return made[-1]

    yield make
    for one in made:
        one.shutdown()


MODEL = "flux2-klein-4b"


def test_a_download_runs_to_its_end(qtbot, downloads):
    one, states = downloads(), []
    one.changed.connect(lambda name: states.append(one.get(name)))
    with qtbot.waitSignal(one.installed, timeout=30000) as installed:
        one.start(MODEL, 8)
    assert installed.args == [MODEL]
    assert any(state.words == "Downloading: 25 %, 1 min 30 s left" and state.share == 0.25 for state in states)
    assert one.get(MODEL).state == "done"


def test_a_failed_download_says_why(qtbot, downloads):
    one = downloads("bad")
    one.start(MODEL, 8)
    qtbot.waitUntil(lambda: not one.busy, timeout=30000)
    assert (one.get(MODEL).state, one.get(MODEL).words) == ("failed", "The disk is full. Free some space.")


def test_a_download_is_paused_goes_on_and_is_cancelled(qtbot, downloads):
    one = downloads("slow")
    one.start(MODEL, 8)
    qtbot.waitUntil(lambda: one.get(MODEL).share == 0.25, timeout=30000)
    one.pause(MODEL)
    qtbot.waitUntil(lambda: not one.busy, timeout=30000)
    assert one.get(MODEL).state == "paused"
    one.start(MODEL, 8)
    qtbot.waitUntil(lambda: one.get(MODEL).share == 0.25, timeout=30000)
    one.cancel(MODEL)
    qtbot.waitUntil(lambda: not one.busy, timeout=30000)
    assert one.get(MODEL).state == "cancelled"


def test_a_program_that_is_not_there(qtbot, downloads):
    one = downloads(program=("/nowhere/at/all",))
    one.start(MODEL, 8)
    qtbot.waitUntil(lambda: one.get(MODEL).state == "failed", timeout=30000)


def test_words_of_a_download():
    begun = after(Download("x", 8), Stage("download", total=10))
    assert (begun.words, begun.share) == ("Downloading", None)
    assert after(begun, Step(5, 10, 1.0, 3.0)).words == "Downloading: 50 %, 3 s left"
    assert after(begun, Failed("X", "No.", "Do.")).state == "failed"


def test_every_model_has_a_card_and_honest_words(window):
    from PySide6.QtWidgets import QLabel

    from mlx_model.helpers import HELPERS
    from mlx_model.languages import LANGUAGES
    from mlx_model.specs import SPECS

    window.go("models")
    cards = window.page("models").cards
    assert set(cards) == {*SPECS, *LANGUAGES, *HELPERS}
    mini = next(card for card in cards.values() if card.entry["repo"] is None)
    assert not mini.get.isVisible()
    klein = cards["flux2-klein-4b"]
    window.page("models").choose("flux2-klein-4b")
    assert klein.get.isVisible()
    klein.bits.setCurrentIndex(0)
    small = klein.needs.text()
    klein.bits.setCurrentIndex(4)
    assert klein.needs.text() != small
    assert "memory" in small
    said = [part.text() for part in cards["flux3-image-klein"].findChildren(QLabel)]
    assert SPECS["flux3-image-klein"].advice in said


def test_a_licence_that_asks_for_consent_must_be_ticked(window, qtbot):
    from PySide6.QtWidgets import QCheckBox, QDialogButtonBox

    from app.gui.pages.downloads import Consent

    card = next(
        c for c in (window.go("models"), *window.page("models").cards.values())[1:] if c.entry["licence"]["consent"]
    )
    dialog = Consent(card.entry, window)
    (box,) = dialog.findChildren(QDialogButtonBox)
    download = next(b for b in box.buttons() if b.text() == "Download")
    assert not download.isEnabled()
    dialog.findChild(QCheckBox).setChecked(True)
    assert download.isEnabled()


def test_a_run_that_will_not_fit_is_refused_with_what_would(window, engine, monkeypatch):
    from app.gui.document import document as module
    from app.gui.document.forecast import Forecast

    told = Forecast("Will not fit. It needs 40 GB.", "What would fit: 8 bits.", False)
    monkeypatch.setattr(module, "forecast", lambda *_: told)
    first = next(window.document.board.panels()).id
    window.document.render([first])
    assert engine.submitted == []
    state = window.document.panel_state(first)
    assert (state.reason, state.hint) == (told.text, told.hint)


# Menus


def entries(of, at=QPoint()):  # noqa: B008
    """What a right click on a widget offers: words -> the entry."""
    for menu in of.findChildren(QMenu):
        menu.setParent(None)
    of.customContextMenuRequested.emit(at)
    return {action.text(): action for menu in of.findChildren(QMenu) for action in menu.actions() if action.text()}


def test_a_row_of_the_queue_offers_what_its_buttons_do_and_its_panel(window, engine):
    first, second = (panel.id for panel in list(window.document.board.panels())[:2])
    window.document.render([first, second])
    window.go("queue")
    rows = [window.queue.rows[state.id] for state in engine.jobs()]
    assert [*entries(rows[1])] == ["Show Panel", "Run Next", "Cancel"]
    entries(rows[0])["Cancel"].trigger()
    assert engine.jobs()[-1].state == "cancelled"
    row = window.queue.rows[engine.jobs()[-1].id]
    assert [*entries(row)] == ["Show Panel", "Try Again"]
    entries(row)["Show Panel"].trigger()
    assert window.open_panel_id() == first
    window.document.do("Delete", lambda board: commands.remove_panels(board, [first]))
    window.go("queue")
    assert not entries(row)["Show Panel"].isEnabled()


def test_a_panel_of_another_board_is_shown_from_the_queue(window, engine):
    first = next(window.document.board.panels()).id
    mine = window.document
    window.document.render([first])
    window.session.new()
    window.go("queue")
    entries(window.queue.rows[engine.jobs()[0].id])["Show Panel"].trigger()
    assert (window.document, window.open_panel_id()) == (mine, first)


def test_a_board_of_lately_is_shown_in_its_folder_or_leaves_the_list(window, monkeypatch):
    shown = []
    monkeypatch.setattr("PySide6.QtGui.QDesktopServices.openUrl", lambda url: not shown.append(url.toLocalFile()))
    window.session.new()
    window.go("home")
    home = window.pages["home"]
    path = str(window.session.path)
    offered = entries(home.boards.cards[path])
    assert [*offered] == ["Open", SHOW_IN_FILES, "Remove from List"]
    offered[SHOW_IN_FILES].trigger()
    assert shown == [str(window.session.path.parent)]
    for one in list(home.boards.cards):  # the open one too
        entries(home.boards.cards[one])["Remove from List"].trigger()
    assert (home.boards.cards, window.session.settings.recent) == ({}, ())
    assert window.session.path.is_dir()
    assert [*entries(next(iter(home.stories.cards.values())))] == ["Open", "Play Again from the Start"]
    assert [*entries(home)] == ["New Board", "Open…", "Import…"]


def test_a_row_of_the_models_offers_what_its_card_does(window, monkeypatch):
    window.go("models")
    page = window.pages["models"]
    name = next(name for name, entry in page.entries.items() if entry["repo"])
    page.choose(name)
    row = page.table.visualRect(page.table.currentIndex()).center()
    assert [*entries(page.table, row)] == ["Download…", "Read Licence"]
    assert [*entries(page.card(name))] == ["Download…", "Read Licence"]
    page.search.setText(name)
    assert entries(page.table, QPoint(5, page.table.viewport().height() - 1)) == {}  # there is no row


# Settings


def test_settings_are_kept_and_bad_files_are_passed_over(home):
    settings.save(settings.Settings(appearance="dark", recent=("a",)))
    assert settings.load().appearance == "dark"
    settings.path().write_text('{"appearance": 3}')
    assert settings.load() == settings.Settings()
    settings.path().write_text('{"appearance": "light", "of a later version": 1}')
    assert settings.load().appearance == "light"


def test_recent_boards_are_few_and_the_last_is_first(tmp_path):
    kept = settings.Settings()
    for number in [*range(14), 9]:
        kept = settings.with_recent(kept, tmp_path / str(number), f"Film {number}")
    assert kept.recent[0].endswith("9")
    assert len(kept.recent) == settings.RECENT == len(set(kept.recent)) == len(kept.titles)


def test_recent_boards_are_called_by_their_titles(window, tmp_path):
    window.document.do("Rename", commands.set_board(window.document.board, title="Gulls & sons"))
    window.session.new(new_board("Second"))
    window.session.new(new_board("Second"))
    window.commands.fill_recent(window.recent)
    shown = [(action.text(), Path(action.toolTip()).stem) for action in window.recent.actions()]
    assert shown == [("Second-2", "Second-2"), ("Second", "Second"),
                     ("Gulls && sons", window.session.path.stem)]  # fmt: skip


@pytest.mark.parametrize("folder", [None, "~/elsewhere"])
def test_the_home_of_the_program_has_the_boards_too(home, monkeypatch, folder):
    chosen = settings.boards_folder(settings.Settings(folder=folder))
    assert chosen == (Path(folder).expanduser() if folder else paths.home() / "boards")
    monkeypatch.delenv("FLUX_LOCAL_HOME")
    assert not settings.boards_folder(settings.Settings()).is_relative_to(paths.home())


def test_the_dialog_changes_settings_at_once(window, qtbot):
    from app.gui.kit.theme import theme
    from app.gui.window.settings_dialog import SettingsDialog

    dialog = SettingsDialog(window.session.settings, window.commands.store_settings, window)
    dialog.appearance.activated.emit(1)
    assert (theme.scheme, settings.load().appearance) == ("light", "light")
    dialog.previews.setChecked(False)
    assert window.document.previews is False
    dialog.cache.setChecked(False)
    assert settings.load().cache is False
    dialog.low_memory.setChecked(True)
    assert settings.load().low_memory is True
    dialog.full_references.setChecked(True)
    assert settings.load().full_references is True
    dialog.json_prompts.setChecked(True)
    assert settings.load().json_prompts is True
    theme.apply("dark")


def test_what_was_computed_is_deleted_from_the_settings(window):
    from app.gui.window.settings_dialog import SettingsDialog

    kept = paths.cache() / "a.kept"
    kept.parent.mkdir()
    kept.write_text("x")
    SettingsDialog(window.session.settings, window.commands.store_settings, window).forget.click()
    assert not kept.parent.exists()


def test_board_settings_are_one_step(window):
    from app.gui.window.dialogs import BoardSettings

    before = window.document.board
    dialog = BoardSettings(window.document, window)
    dialog.aspect.setCurrentText("5:4")
    dialog.style_.setPlainText("ink")
    dialog.fps.setValue(30)
    dialog.agree()
    board = window.document.board
    assert (board.aspect, board.style, board.fps) == ((5, 4), "ink", 30)
    window.document.undo()
    assert window.document.board == before
    dialog.aspect.setCurrentText("wide")
    dialog.agree()
    assert dialog.wrong.isVisibleTo(dialog)
    assert window.document.board == before


# Animatic and Quick Look


def test_the_animatic_keeps_time(window, qtbot):
    from app.gui.pages.animatic import Animatic

    ids = [panel.id for panel in window.document.board.panels()]
    window.document.do("Edit", commands.set_panel(window.document.board, ids[1], seconds=0.3, action="The dog"))
    player = Animatic(window.document, ids[1])
    qtbot.addWidget(player)
    assert player.stage.panel.id == ids[1]
    assert player.total == 4300
    player.seek(4299)
    assert player.stage.panel.id == ids[2]
    player.step(-1)
    assert player.at == 2000
    player.toggle()
    qtbot.waitUntil(lambda: player.stage.panel.id == ids[2], timeout=5000)
    assert player.at >= 2300
    player.show()
    player.activateWindow()
    qtbot.waitUntil(player.isActiveWindow)
    for focused in player.findChildren(QWidget):  # whatever has the focus, also the slider
        if focused.focusPolicy() != Qt.FocusPolicy.NoFocus and focused.isVisible():
            player.seek(0)
            focused.setFocus()
            QTest.keyClick(focused, Qt.Key.Key_Right)
            assert player.at == 2000, focused
            QTest.keyClick(focused, Qt.Key.Key_Left)
            assert player.at == 0, focused
    player.seek(4290)
    qtbot.waitUntil(lambda: not player.playing, timeout=5000)
    assert player.at == player.total
    player.toggle()
    assert player.at < 1000 or player.playing
    qtbot.keyClick(player, Qt.Key.Key_Space)
    assert not player.playing


def test_quick_look_walks_over_pictures(window, engine, picture_file, qtbot):
    ids = [panel.id for panel in window.document.board.panels()]
    window.document.render([ids[0], ids[2]])
    engine.done(picture_file())
    engine.done(picture_file("b.png", (2, 2, 2)))
    window.board.grid.select(ids[:1])
    window.actions_["peek"].trigger()
    look = window.centralWidget().findChildren(type(window.focusWidget()))[-1]
    qtbot.keyClick(look, Qt.Key.Key_Right)
    assert look.panel_id == ids[2]
    qtbot.keyClick(look, Qt.Key.Key_Space)
    assert window.board.grid.list_selected() == (ids[2],)


# Import, export, restore


@pytest.mark.first_case
@pytest.mark.parametrize("name", ["pdf", "csv", "otio", "gif"])
def test_export_through_the_dialog_s_options(window, engine, picture_file, tmp_path, qtbot, monkeypatch, name):
    from app.gui.window import exchange
    from app.interchange.formats import FORMATS

    if not FORMATS[name].available:
        pytest.skip("an optional package is not installed")
    monkeypatch.setattr(exchange, "open_folder", lambda folder: True)
    window.document.render([next(window.document.board.panels()).id])
    engine.done(picture_file())
    dialog, said, out = exchange.ExportDialog(window.document, (), window), [], tmp_path / f"out.{name}"
    dialog.format.setCurrentIndex(dialog.format.findData(name))
    exchange.export_to(window.document, dialog.order(), exchange.Place(out), window, lambda *words: said.append(words))
    qtbot.waitUntil(lambda: bool(said), timeout=60000)
    assert said[0][2] is True, said
    assert out.stat().st_size > 0


def test_no_progress_is_shown_of_work_that_is_over_though_another_dialog_was_opened(window, qtbot):
    """The loop of a dialog puts off what deleteLater asked for before it, while clocks go on."""
    from app.gui.window import exchange

    other, shown = QDialog(window), []

    def open_another() -> None:
        QTimer.singleShot(800, lambda: shown.extend(window.findChildren(QProgressDialog)) or other.accept())
        other.exec()

    go = threading.Event()  # it may be over before anybody listens
    task = exchange.Task("Working", lambda progress: go.wait() and progress(0.0), lambda made: None)
    work = exchange.run(task, window, lambda *words: None)
    work.finished.connect(open_another)
    go.set()
    qtbot.waitUntil(lambda: bool(other.result()), timeout=5000)
    assert [dialog.isVisible() for dialog in shown] == [False]


def test_a_failed_export_is_a_message(window, qtbot, tmp_path):
    from app.gui.window import exchange

    said = []
    order, place = exchange.Order("csv", {}), exchange.Place(tmp_path / "not there" / "x.csv")
    exchange.export_to(window.document, order, place, window, lambda *words: said.append(words))
    qtbot.waitUntil(lambda: bool(said), timeout=30000)
    assert said[0][2] is False


def test_a_script_becomes_a_board(window, tmp_path):
    script = tmp_path / "night.fountain"
    script.write_text("INT. BAR - NIGHT\n\nA gull waits.\n\nGULL\nOh.\n")
    assert window.session.import_board(str(script))
    board = window.document.board
    assert "BAR" in board.scenes[0].heading
    assert list(board.panels())


@pytest.mark.parametrize("name", ["otio", "edl"])
def test_an_edited_timeline_comes_back_onto_the_open_board(window, tmp_path, monkeypatch, name):
    """File > Import a Timeline onto This Board: one step, which undo takes back; a script is refused."""
    document, said = window.document, []
    scene = document.board.scenes[0].id
    document.do("Add", commands.add_panel(commands.add_panel(document.board, scene), scene))
    cut = [panel.id for panel in document.board.panels()]
    path = export_board(name, document.board, document.picture_path, tmp_path / "cut", media=False).path
    document.do("Turn", commands.move_panels(document.board, cut[-1:], scene, 0))
    turned = document.board
    window.session.message.connect(lambda text, _: said.append(text))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, **__: (str(path), ""))
    window.actions_["import_onto"].trigger()
    now = [panel.id for panel in document.board.panels()]
    assert sorted(now) == sorted(cut)
    assert any("got the order and length of the edit" in text for text in said)
    assert {one.property("good") for one in window.toasts.shown} == {"true"}  # notes are no errors
    assert any("by the number" in text for text in said) == (name == "edl")
    if name == "otio":
        assert now == cut
        document.undo()
    assert document.board == turned
    script = tmp_path / "night.fountain"
    script.write_text("INT. BAR\n\nA gull.\n")
    assert not window.session.import_onto(str(script))
    assert "is no timeline" in said[-1]
    assert document.board == turned


def test_a_script_joins_the_open_board_as_one_step(window, tmp_path, monkeypatch):
    document = window.document
    script = tmp_path / "night.fountain"
    script.write_text("INT. BAR - NIGHT\n\nA gull.\n\nANA\nHello.\n")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, **__: (str(script), ""))
    before = document.board
    window.actions_["import_into"].trigger()
    assert window.document is document
    assert [scene.heading for scene in document.board.scenes] == ["", "INT. BAR - NIGHT"]
    assert document.board.scenes[1].panels[0].prompt == "A gull. @Ana speaks."
    said = [(one.said, one.property("good")) for one in window.toasts.shown]
    assert said == [("Added 1 panel in 1 scene, 1 member of the cast.", "true")]
    document.undo()
    assert document.board == before
    script.write_text("")
    assert not window.session.import_into(str(script))
    assert document.board == before


def test_an_import_that_fails_leaves_nothing(window, tmp_path):
    bad = tmp_path / "bad.fdx"
    bad.write_text("<no")
    before, folder = window.document, tmp_path / "boards"
    assert not window.session.import_board(str(bad))
    assert window.document is before
    assert not folder.exists() or list(folder.iterdir()) == []
    assert window.toasts.isVisible()


def test_an_earlier_state_comes_back_and_undo_takes_it_away(window, monkeypatch):
    from app.gui.window.dialogs import RestoreDialog

    document = window.document
    document.do("Rename", commands.set_board(document.board, title="Second"))
    document.save()
    from app.fluxboard import earlier

    earlier.keep(document.file.path / "history", document.file.path / "board.json", always=True)
    document.do("Rename", commands.set_board(document.board, title="Third"))
    dialog = RestoreDialog(document, window)
    assert dialog.list.count() >= 1
    dialog.restore()
    assert document.board.title != "Third"
    document.undo()
    assert document.board.title == "Third"


# Samples


@pytest.mark.parametrize("name", list(samples.SAMPLES))
def test_samples_are_whole_and_every_mention_means_somebody(name, tmp_path):
    from app.board.panel_job import panel_job

    with samples.create(name, tmp_path / name) as file:
        board = file.board
        assert [file.damage(picture) for member in board.cast for picture in member.pictures] == [""] * len(board.cast)
        ready = 0
        for panel in board.panels():
            source = panel.source.panel and board.panel(panel.source.panel).take is None
            if not source:
                request = panel_job(board, panel.id, file.picture_path).request
                assert "@" not in request.prompt
                ready += 1
        assert ready >= 2
        assert json.loads((file.path / "board.json").read_bytes())["title"] == samples.SAMPLES[name].title


def test_sample_art_that_is_replaced_leaves_what_continues_it_out_of_date(tmp_path):
    with samples.create("gull", tmp_path / "gull") as file:
        first, *others = file.board.panels()
        assert list_out_of_date(file.board) == ()
        made = replace(first.take, id="made", note="")
        board = commands.add_take(file.board, first.id, made)
        assert list_out_of_date(board) == tuple(panel.id for panel in others[:3])


FOUND = {
    "places": ["/comfy/models"],
    "models": [
        {
            "name": "flux1-dev", "title": "FLUX.1 dev", "certain": False, "tokenizers": {},
            "parts": {"transformer": {"file": "/comfy/x.gguf", "form": "GGUF Q4_K", "bytes": 7e9, "why": "w"}},
            "missing": {"autoencoder": "published in a/b (vae)"},
        },
        {
            "name": MODEL, "title": "FLUX.2 klein 4B", "certain": True, "tokenizers": {}, "missing": {},
            "parts": {
                "transformer": {"file": "/comfy/k.safetensors", "form": "fp8", "bytes": 4e9, "why": ""},
                "autoencoder": {"file": "/comfy/ae.safetensors", "form": "16 bits", "bytes": 3e8, "why": ""},
            },
        },
        {"name": "flux2-dev", "title": "no", "certain": True, "parts": {}, "missing": {"transformer": ""}},
    ],
    "loras": ["/comfy/style.safetensors"], "problems": ["a is cut."], "others": 3,
}  # fmt: skip


def look_at(qtbot, tmp_path, output, installed=()):
    program = tmp_path / "look.py"
    program.write_text(f"print('noise', flush=True); print({json.dumps(output)!r})")
    dialog = FoundDialog("/comfy", set(installed), None, (sys.executable, str(program)))
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitUntil(lambda: not dialog.progress.isVisible(), timeout=30000)
    return dialog


def test_what_a_folder_holds_is_listed_whole_models_first(qtbot, tmp_path):
    dialog = look_at(qtbot, tmp_path, FOUND)
    rows = [dialog.models.item(number).text() for number in range(dialog.models.count())]
    assert rows == ["FLUX.2 klein 4B: everything is here", "FLUX.1 dev: autoencoder missing"]
    first, second = dialog.details.text().splitlines()  # the transformer first, as it was told
    assert (first, second[:11]) == ("Transformer: k.safetensors, fp8, 4.0 GB", "Autoencoder")
    assert "1 LoRA" in dialog.words.text()
    assert dialog.notes.text() == "Can't be used: a is cut."
    assert dialog.add.text() == "Add"
    dialog.models.setCurrentRow(1)
    assert dialog.add.text() == "Download the Rest and Add"
    assert "published in a/b (vae)" in dialog.details.text()
    assert "does not say which" in dialog.details.text()
    dialog.add.click()
    assert (dialog.chosen["name"], dialog.bits) == ("flux1-dev", 8)


def test_nothing_to_add(qtbot, tmp_path):
    """It is there already; there is nothing; the folder can't be read; the dialog is closed while it looks."""
    dialog = look_at(qtbot, tmp_path, FOUND, {MODEL})
    assert dialog.models.item(0).text().endswith("added already")
    assert not dialog.add.isEnabled()
    dialog = look_at(qtbot, tmp_path, {**FOUND, "models": [], "loras": []})
    assert "lies here" in dialog.words.text()
    assert not dialog.add.isEnabled()
    dialog = look_at(qtbot, tmp_path, {"event": "failed", "message": "It is gone."})
    assert dialog.words.text() == "It is gone."
    dialog = FoundDialog("/comfy", set(), None, (sys.executable, "-c", "import time; time.sleep(60)"))
    qtbot.addWidget(dialog)
    dialog.show()
    dialog.reject()
    assert dialog.look.state() == dialog.look.ProcessState.NotRunning


def test_a_model_of_a_folder_is_added_with_what_is_missing_there(qtbot, tmp_path, downloads):
    """Also after a pause."""
    said = tmp_path / "said"
    program = tmp_path / "say.py"
    program.write_text(
        f"import sys, time; open({str(said)!r}, 'a').write(' '.join(sys.argv[1:]) + chr(10)); time.sleep(9)"
    )
    one = downloads(program=(sys.executable, str(program)))
    one.start(MODEL, 8, "/comfy")
    qtbot.waitUntil(lambda: said.exists() and said.read_text().count("\n") == 1, timeout=30000)
    one.pause(MODEL)
    one.start(MODEL, 8, one.get(MODEL).source)
    qtbot.waitUntil(lambda: said.read_text().count("\n") == 2, timeout=30000)
    words = f"models add {MODEL} --bits 8 --accept-licence --json --from /comfy --download-missing"
    assert said.read_text().splitlines() == [words, words]
