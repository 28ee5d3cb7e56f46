"""Panels under a real mouse and real keys."""

from tests.window.driver import middle


def test_a_panel_is_dragged_behind_another(window):
    before = window.order()
    first, third = window.panel(0), window.panel(2)
    window.drag(middle(first), (third[0] + third[2] - 4, middle(third)[1]))
    window.wait(lambda: window.order() != before, "the panel to move")
    assert window.order() == [before[1], before[2], before[0], *before[3:]]
    window.press("ctrl+z")
    assert window.order() == before


def test_shift_selects_by_order_on_the_board_not_by_rectangle(window):
    window.click(middle(window.panel(2)))
    window.press("shift+Right", "shift+Right", "shift+Right")  # round the end of the row into the next scene
    assert window.selected() == [2, 3, 4, 5]
    window.click(middle(window.panel(1)))
    window.click(middle(window.panel(4)), keys="shift")
    assert window.selected() == [1, 2, 3, 4]
    window.press("shift+Left")
    assert window.selected() == [1, 2, 3]


def test_delete_on_the_board_deletes_what_is_selected_and_undo_brings_it_back(window):
    before = window.order()
    window.click(middle(window.panel(1)))
    window.press("shift+Right", "Delete")
    window.wait(lambda: window.order() == [before[0], *before[3:]], "two panels to go")
    window.click("Undo")
    assert window.order() == before


def test_delete_on_the_canvas_of_a_panel_keeps_the_panel(window):
    before = window.order()
    window.click(middle(window.panel(1)), times=2)
    window.wait(lambda: window.ask("window.open_panel_id()"), "the panel")
    window.click(middle(window.ask("place(window.stack.currentWidget().stage.canvas)")))
    window.press("Delete")
    assert window.order() == before


def test_words_after_continue_land_in_the_new_panel(window):
    count = len(window.order())
    window.click(middle(window.panel(1)))
    window.press("ctrl+k")
    window.wait(lambda: len(window.order()) == count + 1, "the new panel")
    window.type("make it night")
    window.wait(lambda: "make it night" in window.order(), "the words")
    assert window.order().index("make it night") == 2
