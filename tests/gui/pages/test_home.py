"""Home: stories and boards as cards, by mouse and by keys."""

import shutil
from itertools import product

import pytest
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.board import commands
from app.board.data import new_board
from app.board.panel_job import import_take
from app.fluxboard import samples
from app.gui.kit.theme import theme
from app.gui.kit.widgets import key_text
from app.gui.pages.home import Card
from app.models.library import BUILT_IN
from mlx_model.specs import SPECS

LEFT = Qt.MouseButton.LeftButton


def show_home(window):
    window.go("home")
    return window.page("home")


def test_each_story_has_its_picture_and_names_the_model_that_plays_it_well(window, qtbot):
    cards = show_home(window).stories.cards
    assert [*cards] == [*samples.SAMPLES]
    assert {card.note for card in cards.values()} == {"Best with FLUX.2 klein 4B"}
    qtbot.waitUntil(lambda: not any(card.pixmap.isNull() for card in cards.values()))
    for name, sample in samples.SAMPLES.items():
        assert cards[name].accessibleName() == sample.title
        assert sample.needs in SPECS
        assert sample.needs != BUILT_IN


def test_who_stands_at_the_foot_of_a_story_s_picture_is_not_cut_off(qtbot):
    """Figures without chin or feet were the first thing that a new user saw."""
    card = Card("The Gull", "One character.", "", height=80)
    qtbot.addWidget(card)
    card.set_width(270)
    picture = QImage(256, 256, QImage.Format.Format_RGB32)
    picture.fill(QColor("white"))
    for x, y in product(range(256), range(250, 256)):
        picture.setPixelColor(x, y, QColor("red"))
    card.set_picture(picture)
    assert QColor("red").rgb() in [card.grab().toImage().pixel(135, y) for y in range(card.height() - 80)]


def test_a_story_is_opened_by_mouse_and_by_keys(window, qtbot):
    cards = show_home(window).stories.cards
    QTest.mouseClick(cards["product"], LEFT)
    assert window.document.board.title == samples.SAMPLES["product"].title
    assert window.stack.currentWidget() is window.board
    cards = show_home(window).stories.cards
    QTest.keyClick(cards["face"], Qt.Key.Key_Return)
    assert window.document.board.title == samples.SAMPLES["face"].title


def open_story(window, name):
    QTest.mouseClick(show_home(window).stories.cards[name], LEFT)
    return window.document.file.path


def test_a_story_is_gone_on_with_and_played_again_from_its_menu(window):
    """Each press made another copy."""
    first, other = open_story(window, "face"), open_story(window, "product")
    assert open_story(window, "face") == first
    assert open_story(window, "face") == first, "the one that is shown"
    assert window.stack.currentWidget() is window.board
    show_home(window).story_wanted.emit("face", True)
    again = window.document.file.path
    assert again not in (first, other)
    assert open_story(window, "face") == again
    open_story(window, "product")
    shutil.rmtree(again)
    assert open_story(window, "face").is_dir(), "its board is gone: a new copy"


def test_a_story_says_how_it_is_played_until_it_is(window, engine, picture_file):
    path = open_story(window, "outfit")
    said = f"To play this story: select panel 1D and press Render ({key_text('Ctrl+R')})."
    shown = window.toasts.shown
    assert [(one.said, one.lasting) for one in shown] == [(said, True)]
    open_story(window, "face")
    assert "1C" in window.toasts.title.text()
    assert len(window.toasts.shown) == 1, "of the story that is shown"
    assert open_story(window, "outfit") == path
    assert window.toasts.title.text() == said
    last = [*window.document.board.panels()][-1].id
    window.document.render([last])
    engine.done(picture_file("all.png", "red"))
    window.document.claims.review()
    assert said not in [one.said for one in window.toasts.shown]


def test_how_a_story_is_played_is_not_said_over_a_picture(window):
    open_story(window, "outfit")
    assert window.toasts.isVisible()
    window.open_panel([*window.document.board.panels()][-1].id)
    assert window.toasts.shown == []
    window.go("board")
    assert window.toasts.shown == []


@pytest.mark.parametrize("size", [(90, 160), (100, 100), (320, 100)])
def test_the_cover_of_a_board_is_shown_whole(qtbot, size):
    """A face at the head of a tall picture was cut off, and those at the sides of a wide one."""
    card, image = Card("Harbour", "", "", height=40), QImage(*size, QImage.Format.Format_RGB32)
    qtbot.addWidget(card)
    image.fill(QColor("red"))
    for across, down in ((0, 0), (1, 1)):
        for x in range(10):
            for y in range(10):
                image.setPixelColor(across * (size[0] - 10) + x, down * (size[1] - 10) + y, QColor("lime"))
    card.set_picture(image)
    card.set_width(270)
    seen = card.grab().toImage()
    height, scale = card.height() - 40, min(267 / size[0], (card.height() - 43) / size[1])
    left, top = (270 - scale * size[0]) / 2, (height - scale * size[1]) / 2
    for x, y in ((left + 4, top + 5), (270 - left - 5, height - top - 4)):
        assert seen.pixelColor(round(x), round(y)).green() > 150


def test_one_card_alone_is_outlined_in_blue(qtbot):
    first, second = Card("One", "", "", height=40), Card("Two", "", "", height=40)
    page = QWidget()
    qtbot.addWidget(page)
    box = QHBoxLayout(page)
    for card in (first, second):
        card.set_width(270)
        box.addWidget(card)
    page.show()
    qtbot.waitUntil(page.isActiveWindow)
    first.setFocus()
    second.setAttribute(Qt.WidgetAttribute.WA_UnderMouse)
    accent = QColor(theme.colours.accent).rgb()

    def count(card):
        seen = card.grab().toImage()
        return sum(seen.pixel(x, seen.height() // 2) == accent for x in range(4))

    assert (count(first) > 0, count(second)) == (True, 0)


def test_the_board_that_is_open_is_gone_to_from_its_card_and_from_every_page(window):
    here = str(window.document.file.path)
    QTest.mouseClick(show_home(window).boards.cards[here], LEFT)
    assert window.stack.currentWidget() is window.board
    window.go("queue")
    assert window.session.open(here)
    assert window.stack.currentWidget() is window.board


def test_boards_of_one_title_are_told_apart_by_what_can_be_seen_of_it(window):
    for _ in range(2):
        window.session.new(new_board("The Gull Goes Out"))
    cards = [*show_home(window).boards.cards.values()]
    assert sorted(card.text() for card in cards) == ["Harbour", "The Gull Goes Out", "The Gull Goes Out-2"]


def test_boards_of_lately_show_their_first_picture(window, picture_file, qtbot):
    document = window.document
    picture = document.import_picture(picture_file("cover.png", "red"))
    first = next(document.board.panels()).id
    document.do("Add", commands.add_take(document.board, first, import_take(picture)))
    here = str(document.file.path)
    window.session.new(new_board("Second"))
    gone = str(window.document.file.path)
    window.session.open(here)
    page = show_home(window)
    assert [*page.boards.cards] == [here, gone]
    assert [card.text() for card in page.boards.cards.values()] == ["Harbour", "Second"]
    card = page.boards.cards[here]
    qtbot.waitUntil(lambda: not card.pixmap.isNull())
    assert card.pixmap.toImage().pixelColor(4, 4).name() == "#ff0000"
    QTest.mouseClick(page.boards.cards[gone], LEFT)
    assert window.document.board.title == "Second"
    window.session.open(here)
    shutil.rmtree(gone)
    assert [*show_home(window).boards.cards] == [here]


def test_a_board_that_can_t_be_read_has_no_cover_and_says_nothing(window, tmp_path):
    broken = tmp_path / "broken.fluxboard"
    broken.mkdir()
    (broken / "board.json").write_text("{")
    assert window.session.find_cover(str(broken)) is None
    assert window.session.find_cover(str(tmp_path / "nowhere")) is None


def test_cards_fill_the_rows(window, qtbot):
    page = show_home(window)
    cards = [*page.stories.cards.values()]
    for width, columns in ((2000, 4), (1280, 4), (900, 2), (860, 2)):
        window.resize(QSize(width, 800))
        qtbot.waitUntil(lambda columns=columns: len({card.x() for card in cards}) == columns)
        qtbot.waitUntil(lambda: max(card.geometry().right() for card in cards) <= page.width())


def test_whoever_comes_by_keys_stands_on_the_first_story_and_return_plays_it(window):
    """The list as a whole had the keys, where Return does nothing."""
    page, before = show_home(window), window.document
    first = next(iter(page.stories.cards.values()))
    assert first.hasFocus()
    QTest.keyClick(first, Qt.Key.Key_Return)
    assert window.document is not before
    assert window.document.board.title == first.text()
