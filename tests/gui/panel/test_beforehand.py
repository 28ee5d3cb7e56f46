"""What the window says before a run or a download: refusals, misfits that can be tried all the same, slow machines."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from app.board import commands
from app.engine import running
from app.engine.protocol import Run, raw
from app.engine.worker import Worker
from app.gui.board import paint
from app.gui.document.forecast import Forecast
from app.gui.document.open_board import LOST
from app.gui.kit import portrait
from app.gui.kit.messages import Toasts
from app.gui.pages import models_view
from app.gui.window import main_window
from app.models import library
from app.pictures import inputs
from mlx_model.errors import BoardError, WillNotFit
from mlx_model.memory import Machine
from mlx_model.request import Request
from tests.gui.panel_board import add_member, add_references, add_take

CPU = Machine("a chip", 64 * 2**30, 60 * 2**30, 8, False, 0.05)
GPU = Machine("Apple M4 Max", 64 * 2**30, 60 * 2**30, 14, True, 30.0)
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def page(window):
    window.open_panel(next(window.document.board.panels()).id)
    return window.pages["panel"]


def test_too_many_references_turn_the_button_off_and_say_why(window, page):
    bar = page.edit.render_bar
    assert bar.button.isEnabled()
    add_references(window.document, page.panel_id, "hat", "coat", "boots", "lamp", "ring", "tent", "sofa")
    assert not bar.button.isEnabled()
    assert page.edit.hint.text() == "1 picture too many."
    assert page.side.tray_told.text().startswith("The built-in model looks at 6 pictures at most.")
    assert bar.button.accessibleDescription() == page.edit.hint.text()
    window.document.undo()
    assert bar.button.isEnabled()
    assert "Needs about" in bar.button.accessibleDescription()
    assert page.edit.misfit.isHidden()


def test_a_panel_without_words_asks_for_them_without_alarm(window, page):
    bar, document = page.edit.render_bar, window.document
    document.do("Edit", commands.set_panel(document.board, page.panel_id, prompt=""))
    assert not bar.button.isEnabled()
    assert "Say what the picture should show." in page.edit.hint.text()
    assert page.edit.hint.property("tone") == "muted"
    document.do("Edit", commands.set_panel(document.board, page.panel_id, prompt="a gull with @nob"))
    assert bar.button.isEnabled()  # the line under the text tells, and it may be half typed


def test_an_empty_panel_names_the_cast(window, page):
    assert "under Cast" in page.stage.canvas.invitation
    add_member(window.document, "gull")
    page.show_panel(page.panel_id)
    assert "@gull" in page.stage.canvas.invitation


def test_a_predicted_misfit_can_be_run_anyway(window, page, engine, monkeypatch):
    misfit = Forecast("Will not fit. It needs 90 GB.", "What would fit: 8 bits.", False, predicted=True)
    for module in ("app.gui.document.document", "app.gui.panel.edit_bar"):
        monkeypatch.setattr(f"{module}.forecast", lambda *_: misfit)
    page.edit.refresh()
    bar = page.edit.render_bar
    assert (bar.button.isEnabled(), page.edit.anyway.isVisible()) == (False, True)
    window.document.render([page.panel_id])
    assert engine.submitted == []
    QTest.mouseClick(page.edit.anyway, LEFT)
    assert [job.anyway for job in engine.submitted] == [True]


def test_without_a_model_there_is_nothing_to_try(page, monkeypatch):
    none = Forecast("No model is installed.", "Add one.", False)
    monkeypatch.setattr("app.gui.panel.edit_bar.forecast", lambda *_: none)
    page.edit.refresh()
    assert (page.edit.change_settings.isVisible(), page.edit.anyway.isVisible()) == (True, False)


def test_the_worker_asks_for_memory_unless_it_is_told_to_go_on(monkeypatch, tmp_path):
    def refuse(*_):
        raise WillNotFit("Too large.")

    monkeypatch.setattr(running, "require_memory", refuse)
    monkeypatch.setattr(inputs, "load", lambda request, notes: request)
    monkeypatch.setattr(running, "run_and_save", lambda *_: iter(["ran"]))
    monkeypatch.setattr(Worker, "_open", lambda *_: SimpleNamespace())
    request = raw(Request("mini", "a gull", width=128, height=128).to_json())
    worker = Worker(0, None, None)
    with pytest.raises(WillNotFit):
        list(worker._run(Run("a", "mini", request, str(tmp_path), False)))
    assert list(worker._run(Run("a", "mini", request, str(tmp_path), False, True))) == ["ran"]


def test_a_slow_machine_is_told_plainly_and_a_quick_one_is_not():
    slow, quick = library.catalogue(CPU), library.catalogue(GPU)
    words = models_view.slow_line(slow, gpu=False)
    assert "slow here" in words
    assert "built-in model" in words
    assert "FLUX.2 klein 4B" in words
    assert models_view.slow_line(quick, gpu=True) == ""
    klein = next(entry for entry in slow if entry["name"] == "flux2-klein-4b")
    assert "Very slow here" in models_view.list_badges(klein, None)


def test_the_cards_of_a_slow_machine_warn(window, monkeypatch):
    monkeypatch.setattr(models_view.memory, "machine", lambda *_: CPU)
    card = window.page("models").cards["flux2-klein-4b"]
    assert "Much slower here: about" in card.needs.text()
    assert card.needs.property("tone") == "warning"


def test_messages_are_never_read_as_html(qtbot, window):
    toasts = Toasts(window)
    toasts.say("<img src=x> is no picture", "<b>Save it</b>")
    assert toasts.title.textFormat() == toasts.hint.textFormat() == Qt.TextFormat.PlainText


# The cast


def test_the_figure_on_a_plain_ground_is_found_and_a_scene_is_left_whole(document):
    from PySide6.QtGui import QColor, QImage, QPainter, QPixmap

    image = QImage(200, 200, QImage.Format.Format_RGB32)
    image.fill(QColor("#f4f2ee"))
    assert portrait.figure(image) == (image.rect(), None)
    painter = QPainter(image)
    painter.fillRect(120, 150, 40, 20, QColor("#c03020"))
    painter.end()
    part, ground = portrait.figure(image)
    assert (part.getRect(), ground.name()) == ((117, 147, 46, 26), "#f4f2ee")
    large = QPixmap.fromImage(image.scaled(1000, 1000))
    part, ground = portrait._figure(large.cacheKey(), large)
    differ = [abs(one - other) for one, other in zip(part.getRect(), (585, 735, 230, 130), strict=True)]
    assert (max(differ) <= 8, ground.name()) == (True, "#f4f2ee")
    image.setPixelColor(0, 0, QColor("black"))
    assert portrait.figure(image) == (image.rect(), None)
    large = QPixmap.fromImage(image.scaled(1000, 1000))
    assert portrait._figure(large.cacheKey(), large) == (large.rect(), None)


def test_cards_fill_the_row_and_the_panels_with_a_member_open(window):
    document = window.document
    for number, name in enumerate(("gull", "fox"), 50):
        add_member(document, name, number)
    first = next(document.board.panels())
    document.do("Edit", commands.set_panel(document.board, first.id, prompt="@fox in a bar"))
    window.go("cast")
    page = window.page("cast")
    page.show_member(document.board.cast[1].id)
    assert page.list.card.width() > 300
    strip = page.member.panels
    assert [strip.item(row).text() for row in range(strip.count())] == ["1A"]
    strip.itemActivated.emit(strip.item(0))
    assert window.open_panel_id() == first.id


def test_the_worker_s_blas_counts(window, monkeypatch):
    """Without it the window told a machine with OpenBLAS twelve hours for what takes half of one."""
    monkeypatch.setattr(main_window.blas, "preload", lambda: "libopenblas.so.0")
    monkeypatch.setattr(models_view.memory, "machine", lambda openblas=False: {True: CPU}[openblas])
    assert window.page("models").here == CPU


def test_a_tall_screen_shows_the_settings_and_closed_they_stay_closed(window, page):
    fold = page.side.settings.fold
    assert not fold.isChecked()
    window.resize(1600, 1200)
    assert fold.isChecked()
    fold.click()
    window.resize(1600, 1300)
    assert not fold.isChecked()


def test_there_is_nothing_to_zoom_where_there_is_no_picture(window, page):
    bar = page.stage.bar
    assert (bar.zoom.text(), bar.fit.isEnabled()) == ("–", False)
    add_take(window.document, page.panel_id, 3)
    assert bar.zoom.text().endswith("%")
    assert bar.fit.isEnabled()


@pytest.mark.parametrize("harm", [Path.unlink, lambda file: file.write_bytes(b"no picture at all")])
def test_a_picture_whose_file_is_lost_is_told_wherever_it_is_shown(window, page, monkeypatch, harm):
    """A panel looked as if nothing had been made yet; takes, references and cast were blank."""
    document, words = window.document, []
    take = add_take(document, page.panel_id, 1)
    file, path = document.picture_path(take.picture.sha256), document.file.path
    window.session.new()
    harm(file)
    window.session.open(path)
    document = window.document
    monkeypatch.setattr(paint, "_words", lambda painter, box, text, colour: words.append(text))
    window.board.grid.viewport().grab()
    assert words.count(paint.MISSING) == 1
    for side in (0, 62):
        assert document.pixmap(take.picture.sha256, side).cacheKey() == portrait.draw_lost(side or LOST).cacheKey()
    window.open_panel(page.panel_id)
    canvas = window.pages["panel"].stage.canvas
    assert canvas.invitation.startswith("The picture of take 1 is missing or damaged.")
    assert canvas.picture.isNull()


def test_a_file_that_is_missing_is_told_by_what_it_is_on_the_board(document, ids):
    """By 12 digits of its name, which say nothing."""
    take = add_take(document, ids()[1], 1)
    member = add_member(document, "gull")
    for picture, name in ((take.picture, "Take 1 of panel 1B"), (member.pictures[0], "A picture of @gull")):
        file = document.picture_path(picture.sha256)
        file.unlink()
        with pytest.raises(BoardError, match=f"^{name} is missing") as told:
            document.picture_path(picture.sha256)
        assert str(file.parent) in told.value.hint
