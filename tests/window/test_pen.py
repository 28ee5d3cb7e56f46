"""The pen in the real program: it writes beside the artist's words, says how far it is, stops; what it wrote stays."""

import pytest

pytest.importorskip("mlx_lm")
from tests.tiny_language import save_parrot
from tests.window.test_edit_bar import PANEL, open_panel

PIECES = ["Here is the prompt: ", "A fox ", "stands in ", "deep snow ", "under a ", "pale sky."]
LONG = "A fox stands in deep snow under a pale sky."
TEXT = "window.stack.currentWidget().edit.text.toPlainText()"


@pytest.fixture
def home(tmp_path):
    """With a writer that was chosen before."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "writer.txt").write_text(str(save_parrot(tmp_path / "parrot", PIECES)))
    return home


def write_words(window, words):
    open_panel(window, 0)
    window.click("New from words")
    window.type(words)
    window.wait(lambda: window.ask(TEXT) == words, "the words")


def test_words_are_written_out_beside_one_s_own_and_stay_after_a_restart(start, home):
    window = start(home=home)
    write_words(window, "a fox in the snow")
    window.click("Write the words out")
    window.wait(lambda: window.ask(TEXT) == LONG, "what was written out")
    assert window.ask(f"{PANEL}.prompt") == "a fox in the snow"
    window.press("ctrl+z")
    assert window.ask(TEXT) == "a fox in the snow"
    window.press("ctrl+shift+z")
    window.wait(lambda: window.ask(TEXT) == LONG, "it once more")
    window.click("Back to My Words")
    assert window.ask(f"({TEXT}, {PANEL}.words)") == ["a fox in the snow", "a fox in the snow"]
    window.click("Use What Was Written Out")
    window.press("ctrl+s")
    place = window.ask("str(document.file.path)")
    window.close()
    again = start(home=home, board=place)
    open_panel(again, 0)
    assert again.ask(f"({TEXT}, {PANEL}.prompt)") == [LONG, "a fox in the snow"]


@pytest.mark.parametrize("key", ["Return", "Escape"])
def test_it_is_stopped_beside_the_pen_and_by_keys(start, home, tmp_path, key):
    """A slow one: the key comes before it is ready."""
    (home / "writer.txt").write_text(str(save_parrot(tmp_path / "slow", [f"word{n} " for n in range(400)], 60)))
    window = start(home=home)
    write_words(window, "a fox in the snow")
    window.click("Write the words out")
    window.wait(lambda: window.ask("window.stack.currentWidget().edit.pen.told.text()").startswith("Writing"), "words")
    window.wait(lambda: (window.question("focus") or {}).get("name") == "Stop writing", "the keys on it")
    window.press(key)
    window.wait(lambda: not window.ask("window.stack.currentWidget().edit.pen.stop.isVisible()"), "the end")
    assert window.ask(f"({TEXT}, {PANEL}.written)") == ["a fox in the snow", []]
