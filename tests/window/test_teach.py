"""A member of the cast is taught to the built-in model by hand; a render that mentions it uses what was learned."""

import json

import numpy as np
from PIL import Image


def make_pictures(folder, count):
    folder.mkdir()
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 255, (96, 96, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"bobo-{number}.png")
    (folder / "bobo-1.txt").write_text("in the snow")
    return folder


def go_to_member(window):
    window.press("ctrl+2")
    window.ask("window.page('cast').show_member(board.cast[-1].id)")
    window.wait(lambda: window.shows("Built-in model was learning it, and stopped"), "what was left", 60)


def test_a_character_is_taught_also_after_a_stop_and_a_crash(start, tmp_path):
    window = start()
    folder = make_pictures(tmp_path / "figures", 5)
    window.press("ctrl+2")
    window.click("Add Member…")
    window.wait(lambda: len(window.question("windows")) > 1, "the file dialog")
    window.type(str(folder / "bobo-0.png"))
    window.press("Return")
    window.wait(lambda: "bobo-0" in window.ask("[one.name for one in board.cast]"), "the member")
    window.picture(tmp_path / "member.png")

    window.click("Teach This Character…")
    window.wait(lambda: window.shows("1 picture: too few to teach bobo-0."), "why not yet")
    window.picture(tmp_path / "refused.png")
    window.click("Add Pictures…")
    window.wait(lambda: len(window.question("windows")) > 2, "the file dialog")
    window.type(" ".join(f'"{path}"' for path in sorted(folder.glob("*.png"))[1:]))
    window.press("Return")
    window.wait(lambda: window.shows("5 pictures. Predicted:"), "the forecast")
    assert window.find("Caption of bobo-1")["text"] == "bobo-0 in the snow"
    window.click("Steps")
    window.press("ctrl+a")
    window.type("60")
    window.press("Tab")
    window.picture(tmp_path / "dialog.png")
    window.click("Start")
    window.wait(lambda: window.shows("Painting what it knows: 2 of 10"), "what it is to keep", 240)
    window.picture(tmp_path / "knows.png")
    window.wait(lambda: window.shows("Learning: 4 of 60"), "some steps", 400)
    window.picture(tmp_path / "learning.png")
    window.click("Stop")
    window.wait(lambda: window.shows("Teaching @bobo-0 was stopped."), "the end of it", 120)
    (kept,) = (window.home / "lessons").glob("*/state.checkpoint")
    window.wait(lambda: window.shows("Built-in model was learning it, and stopped"), "what was left")
    window.picture(tmp_path / "left.png")

    window.click("Go On")
    window.wait(lambda: window.shows("12 of 60"), "more steps", 400)
    board = window.ask("str(document.file.path)")
    window.process.kill()  # as a crash does
    window.process.wait()
    window = start(board)
    go_to_member(window)
    assert list((window.home / "loras").glob("*.safetensors")) == []
    window.picture(tmp_path / "after.png")
    window.click("Go On")
    window.click("Queue")
    window.wait(lambda: window.shows("Built-in model knows @bobo-0 now"), "the end of the lesson", 400)
    window.picture(tmp_path / "queue.png")
    assert len(list(kept.parent.glob("prior/*.png"))) == 10
    assert [json.loads(line)["step"] for line in (kept.parent / "log.jsonl").read_text().splitlines()] == [
        *range(1, 61)
    ]
    assert sorted(path.name for path in (window.home / "loras").glob("*.safetensors")) == ["bobo-0.safetensors"]
    window.press("ctrl+2")
    window.wait(lambda: window.shows("Built-in model knows it as “bobo-0”"), "what is known")
    window.picture(tmp_path / "taught.png")
