"""The models page: the best model as a card, the table with its search, logging in."""

import re
import threading

import keyring
import pytest
from keyring.backends import fail
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QPushButton

from app.base import paths
from app.gui.pages import model_card, models_view
from app.gui.pages.best_card import say_facts
from app.gui.pages.log_in import FOR_NOW, LogIn
from app.models import access
from mlx_model.helpers import HELPERS
from mlx_model.languages import LANGUAGES
from mlx_model.memory import Machine
from mlx_model.specs import SPECS
from mlx_model.store.writer_folder import RECORD

TOKEN = "hf_" + "a" * 34
MAC = Machine("M4 Max", 64 << 30, 48 << 30, 16, True, 17.0)


@pytest.fixture(autouse=True)
def no_keychain(monkeypatch):
    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())
    monkeypatch.setattr(access, "_session", {"token": ""})
    monkeypatch.delenv("HF_TOKEN", raising=False)
    yield
    keyring.set_keyring(before)


@pytest.fixture
def page(window):
    window.go("models")
    return window.page("models")


def shown(page):
    return [page._name_at(place) for place in range(page.table.rowCount()) if not page.table.isRowHidden(place)]


def test_all_models_are_in_the_table_and_a_search_finds_them_by_name_licence_and_use(page):
    assert sorted(shown(page)) == sorted([*SPECS, *LANGUAGES, *HELPERS])
    for words, names in (
        ("krea", {"flux1-krea-dev"}),
        ("KOMMUNITY base", {"flux3-image-klein-base"}),
        ("a class", {"selfflow-imagenet"}),
        ("writer flux.3", {"flux3-writer"}),
        ("writer", set(LANGUAGES)),
        ("depth maps", {"depth-anything-v2-small"}),
        ("quick way", {"swin2sr-x2", "swin2sr-x4"}),
    ):
        page.search.setText(words)
        assert set(shown(page)) == names
        assert page.find_chosen() in names
        assert page.card(page.find_chosen()).isVisible()
    page.search.setText("nothing like this")
    assert (shown(page), page.none.isVisible()) == ([], True)
    page.search.clear()
    assert len(shown(page)) == len(SPECS) + len(LANGUAGES) + len(HELPERS)


def test_the_keys_to_find_go_to_the_search_of_this_page(window, page):
    """They led to the board's panels, and what was typed then too."""
    page.table.setFocus()
    QTest.keyClick(page.table, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert page.search.hasFocus()
    assert window.stack.currentWidget() is page


def test_all_columns_are_seen_where_there_is_room(window, page, qtbot):
    for width in (900, 1280, 2000):
        window.resize(width, 800)
        qtbot.waitUntil(lambda width=width: window.width() == width)
        table = page.table
        assert table.columnViewportPosition(5) + table.columnWidth(5) <= table.viewport().width()
        assert table.columnWidth(5) > 0
        for column in (one for one in range(6) if not table.isColumnHidden(one)):
            assert table.columnWidth(column) >= table.horizontalHeader().sectionSizeHint(column), column


def test_the_best_card_keeps_its_picture_and_its_words_where_there_is_little_room(window, page, qtbot):
    window.resize(900, 600)
    qtbot.waitUntil(lambda: window.width() == 900)
    best = page.best.itemAt(0).widget()
    assert best.sample.isVisible()
    for one in best.findChildren(QLabel):
        assert not one.isVisible() or one.wordWrap() or one.width() >= one.sizeHint().width(), one.text()
    assert not best.sample.geometry().intersects(best.button.geometry())


def test_one_model_is_shown_in_full_the_chosen_one_by_keys_too(page):
    page.table.setFocus()
    first = page.find_chosen()
    QTest.keyClick(page.table, Qt.Key.Key_Down)
    assert page.find_chosen() != first
    assert [name for name, card in page.cards.items() if card.isVisible()] == [page.find_chosen()]


def test_the_best_for_a_mac_is_quick_and_edits_and_where_all_are_slow_it_is_the_built_in_one():
    entries = models_view.library.catalogue(MAC)
    best = models_view.find_best(entries)
    assert best["repo"]
    assert best["does"]["references"] > 1
    assert models_view.picture_seconds(best) <= min(
        models_view.picture_seconds(one) for one in entries if one["repo"] and one["does"]["references"] > 1
    )
    slow = [{**one, "seconds_per_step": 900.0} for one in entries]
    assert models_view.find_best(slow)["repo"] is None


def test_the_best_card_says_no_time_where_the_chip_is_not_known():
    best = models_view.find_best(models_view.library.catalogue(MAC))
    assert say_facts(best).startswith("About ")
    unknown = say_facts({**best, "seconds_per_step": None})
    assert " for a picture" not in unknown
    assert unknown[0].strip()


def test_the_best_card_says_the_memory_of_every_model():
    for entry in models_view.library.catalogue(MAC):
        assert re.search(r"[1-9][\d.]* [MG]B of memory · ", say_facts(entry)), entry["name"]


def test_logging_in_without_a_keychain_is_said_and_ends_with_the_session(page, monkeypatch, qtbot):
    dialogs = []

    def answer(dialog):
        dialogs.append(dialog)
        dialog.field.setText("secret")
        dialog.ok.click()
        assert dialog.wrong.isVisibleTo(dialog)
        assert "secret" not in dialog.wrong.text()
        dialog.field.setText(TOKEN)
        dialog.ok.click()

    monkeypatch.setattr(LogIn, "exec", answer)
    assert page.log_in.text() == "Log In…"
    QTest.mouseClick(page.log_in, Qt.MouseButton.LeftButton)
    assert page.said.text() == FOR_NOW
    qtbot.waitUntil(lambda: page.log_in.text() == "Log Out")
    assert access.find_token() == TOKEN
    QTest.mouseClick(page.log_in, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.log_in.text() == "Log In…")
    assert access.find_token() == ""


def test_a_wrong_token_leaves_all_words_of_the_dialog_whole(qtbot, window):
    dialog = LogIn(window)
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.wait(50)
    dialog.field.setText("no token")
    dialog.agree()
    qtbot.wait(50)
    assert dialog.wrong.isVisible()
    wrapped = [words for words in dialog.findChildren(QLabel) if words.wordWrap()]
    assert len(wrapped) == 3
    assert [words.text() for words in wrapped if words.height() < words.heightForWidth(words.width())] == []


def test_a_writer_is_no_model_for_new_panels_and_goes_to_the_trash(window, page, monkeypatch):
    folder = paths.writers() / "qwen3-4b"
    folder.mkdir(parents=True)
    (folder / RECORD).write_text('{"name": "qwen3-4b", "bits": 8, "files": {}}')
    page.refresh()
    page.choose("qwen3-4b")
    card = page.card("qwen3-4b")
    said = [button.text() for button in card.findChildren(QPushButton) if button.isVisibleTo(card)]
    assert "Use for New Panels" not in said
    assert any("the pen" in words.text() for words in card.findChildren(QLabel))
    assert page.line.text() == models_view.FIRST_LINE  # no model that paints was added
    trash = []
    monkeypatch.setattr("send2trash.send2trash", trash.append)
    monkeypatch.setattr(model_card, "sure", lambda *words: "The pen then asks for another." in words)
    next(button for button in card.findChildren(QPushButton) if button.text() == "Remove…").click()
    assert trash == [str(folder)]


def test_a_keychain_that_takes_its_time_holds_nothing_up(window, monkeypatch, qtbot):
    """It may ask the person first, and what asks it is a hundred files to import."""
    asked = []
    monkeypatch.setattr(access, "find_token", lambda: asked.append(threading.current_thread()) or TOKEN)
    page = window.page("models")
    qtbot.waitUntil(lambda: page.log_in.text() == "Log Out")
    assert threading.main_thread() not in asked


def test_a_small_network_that_a_panel_lacks_is_shown_and_its_download_asked_for(window, page, monkeypatch):
    """It has no precision to choose: it is used as it was published."""
    asked = []
    monkeypatch.setattr(page.card("swin2sr-x2"), "agree", lambda bits: asked.append(bits))
    window.go("board")
    window.commands.offer_model("swin2sr-x2")
    card = page.card("swin2sr-x2")
    assert (page.find_chosen(), card.isVisible(), len(asked)) == ("swin2sr-x2", True, 1)
    assert not card.bits.isVisible()
    assert "GB" not in card.needs.text().partition("Needs")[0]
