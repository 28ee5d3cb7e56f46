"""Hands that do anything, drawn by a seed: nothing is said on stderr, no word is Python's, and what was on the boards
is on the disk when the program has ended, whatever still ran.
"""

import json
import random
import time
from pathlib import Path

import pytest

from tests.window.driver import Window, middle
from tests.window.test_walk import actions, key
from tests.window.walking import PAGES, check_words, leave_dialogs, things

STEPS = 60
KINDS = ("click", "click", "double", "menu", "action", "key", "key", "type", "drag", "page", "render")
WORDS = ("fox ", "@robot ", "@ ", "night", "12", "a gull")
KEYS = ("Delete", "Left", "Right", "Up", "Down", "Home", "End", "Return", "space", "Tab", "Escape", "shift+Right", "F2",
        "ctrl+z", "ctrl+shift+z", "ctrl+a", "ctrl+c", "ctrl+v", "ctrl+x", "alt+Right", "alt+Left")  # fmt: skip
OPEN = (
    "[(str(one.file.path), __import__('app.fluxboard.codec', fromlist=['encode']).encode(one.board).decode())"
    " for one in window.session._all()]"
)
QUIET = "not window.session.busy() and not any(one._keeping._on_the_way for one in window.session._all())"


def act(window: Window, draw: random.Random) -> None:
    kind, seen = draw.choice(KINDS), [one for one in things(window) if one["class"] != "entry"]
    one, other = draw.choice(seen), draw.choice(seen)
    print(time.strftime("%X"), kind, one["class"], one["name"], flush=True)
    match kind:
        case "click" | "double":
            window.click(middle(one["rect"]), times=1 + (kind == "double"))
        case "menu":
            window.click(middle(one["rect"]), button=3)
            if window.ask("bool(app.activePopupWidget())"):
                window.press(*["Down"] * draw.randint(1, 8), "Return")
        case "action":
            text, keys = draw.choice([one for one in actions(window) if one[1]])
            print(text, keys, flush=True)
            window.press(key(keys))
        case "key":
            window.press(draw.choice(KEYS))
        case "type":
            window.type(draw.choice(WORDS))
        case "drag":
            window.drag(middle(one["rect"]), middle(other["rect"]))
        case "page":
            window.press(draw.choice([*PAGES.values()]))
        case "render":
            window.press(draw.choice(["ctrl+r", "ctrl+alt+r"]))
    if len(window.question("windows")) > 1 and draw.random() < 0.6:
        window.press("Escape")


@pytest.mark.parametrize("seed", [21, 22, 23])
def test_whatever_hands_do_is_on_the_disk(in_turn, seed):
    window, draw = in_turn, random.Random(seed)
    for _ in range(STEPS):
        act(window, draw)
        check_words(window)
    leave_dialogs(window)
    window.press("ctrl+shift+period")  # a picture in its last step may still come
    window.wait(lambda: window.ask(QUIET), "the end of all jobs")
    boards = window.ask(OPEN)
    window.leave("key", "--clearmodifiers", "ctrl+q")
    for path, text in boards:
        assert json.loads((Path(path) / "board.json").read_text("utf-8")) == json.loads(text), path
        assert not (Path(path) / "journal").exists()


def test_quitting_in_a_run_keeps_what_came_meanwhile(window):
    """A picture may come while the question stands: it is on the disk as it is seen."""
    window.press("ctrl+1", "ctrl+a", "ctrl+alt+r")
    window.press("ctrl+q")
    window.wait(lambda: window.shows("Quit Anyway"), "the question")
    takes = "sum(len(panel.takes) for panel in board.panels())"
    before, path = window.ask(takes), window.ask("str(document.file.path)")
    window.wait(lambda: window.ask(takes) > before, "a picture behind the question", 120)
    seen, x, y = window.ask(takes), *window.find_at("Quit Anyway")
    window.leave("mousemove", x, y, "click", 1)
    scenes = json.loads((Path(path) / "board.json").read_text("utf-8"))["scenes"]
    assert sum(len(panel["takes"]) for scene in scenes for panel in scene["panels"]) >= seen
