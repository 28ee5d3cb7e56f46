"""A figure is posed by a real mouse and by real keys: it becomes a reference, is bent, undone, and posed once more."""

from tests.window.driver import middle
from tests.window.test_edit_bar import PANEL, open_panel

STAGE = "window.stack.currentWidget().stage"
CANVAS = f"{STAGE}.canvas"
POSER = f"{STAGE}.posing.poser"
POSED = f"[one for one in {PANEL}.references if one.role == 'pose']"


def figures(window):
    """The joints of each figure that the board has."""
    return window.ask(f"[list(figure.joints) for one in {POSED} for figure in one.figures]")


def joint(window, number, name):
    """Where a joint is on the screen."""
    return tuple(window.ask(
        f"(lambda c, p, j: (lambda q: [q.x(), q.y()])(c.mapToGlobal(c.view.to_widget(type(c.hover)("
        f"p.ground.width() / 2 + p.ground.height() * j[0], p.ground.height() * j[1])).toPoint())))"
        f"({CANVAS}, {POSER}, {POSER}.items[{number}].joints["
        f"__import__('app.board.pose', fromlist=['pose']).JOINTS.index({name!r})])"
    ))  # fmt: skip


def test_a_figure_is_bent_by_its_hand_undone_and_given_to_the_model(window):
    open_panel(window, 0)
    before = window.ask(f"len({PANEL}.references)")
    window.click("Pose figures")
    window.click("Add Figure")
    window.click("Walking")
    window.wait(lambda: figures(window), "the figure")
    was, at = figures(window)[0], joint(window, 0, "left hand")
    window.drag(at, (at[0] + 60, at[1] - 90))
    window.wait(lambda: figures(window) != [was], "the hand")
    now = figures(window)[0]
    assert [place for place, (a, b) in enumerate(zip(was, now, strict=True)) if a != b] == [7]
    assert joint(window, 0, "left hand") == (at[0] + 60, at[1] - 90)
    window.press("ctrl+z")
    window.wait(lambda: figures(window) == [was], "the hand as it was")
    window.press("ctrl+shift+z")
    window.wait(lambda: figures(window) == [now], "the hand again")
    window.click("Done")
    assert window.ask(f"{STAGE}.tool") == "move"
    tile = next(one for one in window.question("widgets") if "pose, pose" in one["name"])
    assert window.ask(f"len({PANEL}.references)") == before + 1
    window.click(middle(tile["rect"]), button=3)
    window.click("Change the Pose")
    window.wait(lambda: window.ask(f"{STAGE}.tool") == "pose", "the figures")
    window.click("Mirror")
    window.wait(lambda: window.ask("document.history.undo_label") == "Mirror Figure", "the mirror")
    assert window.ask(f"[one.figures == {POSER}.items for one in {POSED}]") == [True]
    assert window.question("cut") == []


def test_the_same_by_keys_alone(window):
    window.click(middle(window.panel(0)))
    window.press("ctrl+Down")
    window.wait(lambda: window.ask("window.open_panel_id()"), "the panel")
    window.tab_to("Look")
    window.press(*["Right"] * 8)
    assert window.question("focus")["name"] == "Pose figures"
    window.press("Return")
    window.tab_to("Add Figure")
    window.press("Return")
    window.wait(lambda: window.shows("Kneeling"), "the poses")
    window.press("Down", "Down", "Return")
    window.wait(lambda: figures(window), "the figure")
    was = figures(window)[0]
    window.wait(lambda: (window.question("focus") or {}).get("name") == "Picture", "the keys on the picture")
    window.press("shift+j", "shift+Right")  # the last joint
    window.wait(lambda: figures(window) != [was], "the foot")
    foot = figures(window)[0][13]
    assert [round(foot[0] - was[13][0], 3), foot[1]] == [0.05, was[13][1]]
    assert "Figure 1 of 1, left foot" in window.ask(f"{CANVAS}.accessibleDescription()")
    window.press("Escape", "bracketleft", "period", "m", "shift+Left")
    window.wait(lambda: window.ask("document.history.undo_label") == "Move Figure", "the way")
    window.press(*["ctrl+z"] * 5)
    window.wait(lambda: figures(window) == [was], "all taken back")
    window.press("Delete")
    window.wait(lambda: figures(window) == [], "no figure")
    window.press("ctrl+z")
    window.wait(lambda: figures(window) == [was], "the figure again")
    window.press("Escape")
    assert window.ask(f"{STAGE}.tool") == "move"
