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
    x, y, width, height = window.ask("place(grid.viewport(), grid.viewport().rect())")
    window.click(middle(window.panel(1)))
    window.click((x + width - 4, y + height // 2), button=3)  # beside the panels: the board's menu, of none of them
    assert window.selected() == []
    window.click(window.find_at("Select All Panels", "entry"))
    window.wait(lambda: len(window.selected()) == len(before), "all panels to be selected")


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


def open_panel(window, number):
    window.click(middle(window.panel(number)), times=2)
    window.wait(lambda: window.ask("window.open_panel_id()"), "the panel")


def take_at(window, number):
    """The rectangle of a take of the panel that is open, counted from 0."""
    takes = "window.stack.currentWidget().side.takes"
    return window.ask(f"place({takes}.viewport(), {takes}.visualItemRect({takes}.item({number})))")


def current_take(window):
    panel = "document.panel(window.open_panel_id())"
    return window.ask(f"[take.id for take in {panel}.takes].index({panel}.current)")


def render(window):
    takes = window.ask("len(document.panel(window.open_panel_id()).takes)")
    window.press("ctrl+r")
    window.wait(lambda: window.ask("len(document.panel(window.open_panel_id()).takes)") == takes + 1, "a take", 90)


def test_a_right_click_changes_no_take_and_what_it_offers_is_about_the_one_under_it(window):
    open_panel(window, 1)
    render(window)
    assert current_take(window) == 1
    before = window.ask("document.history.undo_label")
    window.click(middle(take_at(window, 0)), button=3)
    window.click("Compare with This Take")
    assert window.ask("window.stack.currentWidget().stage.canvas.tags") == ["Take 1", "Take 2"]
    assert window.ask("window.stack.currentWidget().stage.canvas.comparing")
    window.click(middle(take_at(window, 0)), button=3)
    window.click("Details and Note")
    assert window.shows("Take 1")
    assert window.shows("This picture was imported.")
    window.click(middle(take_at(window, 0)), button=3)
    window.press("Escape")
    assert (current_take(window), window.ask("document.history.undo_label")) == (1, before)


def test_a_right_click_opens_adds_and_moves_nothing_on_the_board(window):
    before = window.order()
    for number in (0, 2):
        window.click(middle(window.panel(number)), button=3, times=2)
        window.press("Escape", "Escape")
    x, y, width, height = window.panel(3)  # the place to add a panel stands behind the last of a scene
    window.click((x + width // 2, y + height + 60), button=3)
    window.press("Escape")
    assert (window.order(), window.ask("window.open_panel_id()")) == (before, None)


def test_the_queue_says_what_each_job_was_made_with(window):
    open_panel(window, 1)
    words = window.ask("document.panel(window.open_panel_id()).words")
    window.press("ctrl+r")
    window.press("ctrl+a")
    window.type("something else")
    render(window)
    window.press("Escape")
    window.press("Delete")
    window.wait(lambda: "something else" not in window.order(), "the panel to go")
    window.press("ctrl+4")
    assert window.ask("[row.prompt.text() for row in window.queue.rows.values()]") == ["something else", words]


def test_one_instruction_goes_to_all_that_are_chosen(window):
    """Shift goes down before the other key does, as a hand presses it."""
    window.press("ctrl+a")
    pictures = window.ask("sum(panel.take is not None for panel in board.panels())")
    window.press("ctrl+shift+a")
    wanted = f"Change all {pictures} panels that have a picture by one instruction"
    window.wait(lambda: window.shows(wanted), "all of them to be meant")
    window.press("Escape")
    assert len(window.selected()) == len(window.order())
