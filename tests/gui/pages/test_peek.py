"""Quick Look: what is done meanwhile is about the panel that is seen, and it is gone where something else is shown."""

import pytest
from PySide6.QtCore import Qt

from app.gui.pages.peek import Peek


@pytest.fixture
def peek(window, engine, picture_file, qtbot):
    """Of the first of three panels that have pictures."""
    window.document.render([panel.id for panel in window.document.board.panels()])
    for number in range(3):
        engine.done(picture_file(f"{number}.png"))
    window.board.grid.select((next(window.document.board.panels()).id,))
    with qtbot.waitActive(window):
        window.activateWindow()
    window.run("peek")
    (shown,) = window.findChildren(Peek)
    qtbot.waitUntil(shown.hasFocus)
    return shown


def wait_for_end(window, qtbot):
    qtbot.waitUntil(lambda: window.findChildren(Peek) == [])


def list_ids(window):
    return [panel.id for panel in window.document.board.panels()]


def test_delete_is_about_the_panel_that_is_seen(window, peek, qtbot):
    first, second, third = list_ids(window)
    qtbot.keyClick(peek, Qt.Key.Key_Right)
    assert peek.panel_id == second
    window.run("delete")
    wait_for_end(window, qtbot)
    assert list_ids(window) == [first, third]


@pytest.mark.parametrize("page", ["show_cast", "show_home", "show_queue"])
def test_another_page_ends_it(window, peek, qtbot, page):
    window.run(page)
    wait_for_end(window, qtbot)
    assert window.stack.currentWidget().isAncestorOf(window.focusWidget())


def test_a_menu_that_is_opened_leaves_it(window, peek, qtbot):
    menu = window.menuBar().actions()[0].menu()
    menu.popup(window.mapToGlobal(window.rect().center()))
    qtbot.waitUntil(menu.isVisible)
    menu.close()
    qtbot.waitUntil(peek.hasFocus)
    assert peek.isVisible()
