"""A picture is changed under a real mouse and by real keys: what it starts from, again, on from the result; takes."""

from tests.window.driver import middle

PANEL = "document.panel(window.open_panel_id())"
PATIENCE = 120.0  # seconds for a run on a busy machine


def open_panel(window, number):
    window.click(middle(window.panel(number)), times=2)
    window.wait(lambda: window.ask("window.open_panel_id()"), "the panel")


def takes(window):
    """(id, parent, instruction) of each."""
    return window.ask(f"[(take.id, take.parent, take.instruction) for take in {PANEL}.takes]")


def wait_for_takes(window, count):
    window.wait(lambda: len(takes(window)) == count, f"{count} takes", PATIENCE)


def current(window):
    return window.ask(f"[take.id for take in {PANEL}.takes].index({PANEL}.current)")


def start(window):
    """What is seen beside the words."""
    return window.ask("window.stack.currentWidget().edit.start.caption")


def chosen(window):
    """The one of the choices under the picture that is lit."""
    return window.ask(
        "(lambda bar: [one.text() for one in (bar.to_change, bar.from_other, bar.to_make) "
        "if one.isVisible() and one.isChecked()][0])(window.stack.currentWidget().edit)"
    )


def test_a_picture_is_changed_by_mouse_again_and_on_from_the_result(window):
    open_panel(window, 0)
    words = window.ask(f"{PANEL}.prompt")
    canvas = window.ask("place(window.stack.currentWidget().stage.canvas)")
    window.click("Change this picture")
    assert start(window) == "Take 1"
    window.type("make it night")
    window.click(window.find_at("Render", "PushButton"))
    wait_for_takes(window, 2)
    window.click(window.find_at("Render Again", "PushButton"))
    wait_for_takes(window, 3)
    first, second, third = takes(window)
    assert (second[1], third[1]) == (first[0], first[0])
    assert (second[2], third[2], window.ask(f"{PANEL}.prompt")) == ("make it night", "make it night", words)
    assert start(window) == "Take 1"
    assert chosen(window) == "Start from take 1"
    window.click("Change this picture")
    assert (chosen(window), start(window)) == ("Change this picture", "Take 3")
    window.type("make it sunset")
    window.click(window.find_at("Render", "PushButton"))
    wait_for_takes(window, 4)
    assert takes(window)[3][1:] == [third[0], "make it sunset"]
    assert window.ask("place(window.stack.currentWidget().stage.canvas)") == canvas, "the picture jumped"
    window.press("ctrl+z")
    window.wait(lambda: current(window) == 2, "the former picture")
    assert window.question("cut") == []


def test_a_picture_is_changed_by_keys_alone(window):
    window.click(middle(window.panel(0)))
    window.press("ctrl+Down")
    window.wait(lambda: window.ask("window.open_panel_id()"), "the panel")
    window.press(*["shift+Tab"] * 3, "space")  # from the words over the place back to the first of the two choices
    window.wait(lambda: start(window) == "Take 1", "the start")
    window.type("make it night")
    window.press("ctrl+Return")
    wait_for_takes(window, 2)
    window.press(*["shift+Tab"] * 4)
    assert window.question("focus")["name"] == "Change this picture"
    window.press("space")
    assert start(window) == "Take 2"
    window.type("make it day")
    assert window.ask(f"{PANEL}.instruction") == "make it day"
    window.press("ctrl+Return")
    wait_for_takes(window, 3)
    assert [take[1] for take in takes(window)] == [None, takes(window)[0][0], takes(window)[1][0]]


def take_row(window, number):
    """The rectangle of a row of the takes, counted from 0."""
    takes = "window.stack.currentWidget().side.takes"
    return window.ask(f"place({takes}.viewport(), {takes}.visualItemRect({takes}.item({number})))")


def marks(window, number):
    """The middle of the star and of the compare mark of a row."""
    x, y, width, height = take_row(window, number)
    return (x + width - 16, y + 14), (x + width - 16, y + height - 14)


def test_takes_are_starred_compared_deleted_and_brought_back(window):
    open_panel(window, 0)
    window.click("Change this picture")
    for words in ("make it night", "make it sunset"):
        window.press("ctrl+a")
        window.type(words)
        window.press("ctrl+Return")
        wait_for_takes(window, len(takes(window)) + 1)
    canvas = window.ask("place(window.stack.currentWidget().stage.canvas)")
    window.click(marks(window, 1)[0])
    assert window.ask(f"[take.star for take in {PANEL}.takes]") == [False, True, False]
    window.click(marks(window, 1)[1])
    assert window.ask("window.stack.currentWidget().stage.canvas.comparing")
    assert window.ask("window.stack.currentWidget().stage.canvas.tags") == ["Take 2", "Take 3"]
    assert chosen(window) == "Start from take 1"
    window.click(middle(take_row(window, 0)))
    assert window.ask("window.stack.currentWidget().stage.canvas.tags") == ["Take 2", "Take 1"]
    assert (chosen(window), start(window)) == ("Change this picture", "Take 1")
    window.press("Down", "s", "Delete")
    assert [take[2] for take in takes(window)] == ["", "make it sunset"]
    assert window.ask(f"[take.number for take in {PANEL}.takes]") == [1, 3]
    assert window.ask("place(window.stack.currentWidget().stage.canvas)") == canvas, "the picture jumped"
    window.press("ctrl+z", "ctrl+z")
    assert window.ask(f"[take.star for take in {PANEL}.takes]") == [False, True, False]
    window.click(middle(take_row(window, 1)), button=3)
    window.click("Add to Cast…")
    window.wait(lambda: len(window.question("windows")) == 2, "the name to be asked for")
    window.press("ctrl+a")
    window.type("moonlight")
    window.press("Return")
    window.wait(lambda: "moonlight" in window.ask("[member.name for member in board.cast]"), "the new member")
    window.wait(lambda: window.question("cut") == [], "everything to fit")
