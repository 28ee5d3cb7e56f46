"""The animatic in the real window: an edge dragged, a sound chosen and moved, the camera drawn, by hand."""

from tests.app.sound.test_sound import write
from tests.window.test_keys_and_files import PLAYER


def place(window, point: str) -> tuple[int, int]:
    """A point of the player's widgets, such as "timing, QPoint(3, 4)", on the screen."""
    widget, _, at = point.partition(", ")
    return tuple(window.ask(f"(lambda p: [p.x(), p.y()])({PLAYER}.{widget}.mapToGlobal({at}))"))


def test_timing_sound_and_camera_by_hand(window, tmp_path):
    song = write(tmp_path / "song.ogg", seconds=4, rate=22050)
    window.press("ctrl+p")
    window.wait(lambda: any("Animatic" in title for title in window.question("windows")), "the animatic")
    window.press("space")
    window.wait(lambda: not window.ask(f"{PLAYER}.playing"), "it to stand")
    window.press("Left", "Left", "Left", "Left")
    before = window.ask("next(board.panels()).seconds")

    edge = place(window, f"timing, {PLAYER}.rect().topLeft() * 0")
    x = window.ask(f"round({PLAYER}.timing._x({PLAYER}.ends[0]))")
    edge = (edge[0] + x, edge[1] + 25)
    window.drag(edge, (edge[0] + 60, edge[1]))
    window.wait(lambda: window.ask("next(board.panels()).seconds") > before, "a longer panel")

    window.click("Add Sound")
    window.wait(lambda: len(window.question("windows")) > 2, "the file dialog")
    window.answer(song)
    window.wait(lambda: window.ask("board.sound is not None and board.sound.name") == "song.ogg", "the sound")
    window.wait(lambda: window.ask(f"{PLAYER}.timing.peaks is not None"), "its waveform")
    top = place(window, f"timing, {PLAYER}.rect().topLeft() * 0")
    window.drag((top[0] + 200, top[1] + 85), (top[0] + 280, top[1] + 85))
    window.wait(lambda: window.ask("board.sound.start") > 0, "a later start")

    window.click("Camera")
    corner = window.ask(
        f"(lambda s: (lambda p: [p.x(), p.y()])(s.mapToGlobal(s.place('end').topLeft().toPoint())))({PLAYER}.stage)"
    )
    assert window.ask(f"{PLAYER}.stage.place('end').width() < {PLAYER}.stage.place('begin').width()"), "they lie apart"
    window.drag((corner[0] + 2, corner[1] + 2), (corner[0] + 120, corner[1] + 80))
    window.wait(lambda: window.ask("(next(board.panels()).camera.end or 0) and 1"), "a frame of the camera")
    width = window.ask("next(board.panels()).camera.end.width")
    window.press("minus")
    assert window.ask("next(board.panels()).camera.end.width") < width
    word = f"{PLAYER}.stage.mapToGlobal({PLAYER}.stage.place_name('begin').center().toPoint())"
    window.click(tuple(window.ask(f"(lambda p: [p.x(), p.y()])({word})")))
    assert window.ask(f"{PLAYER}.stage.chosen") == "begin"
    window.press("minus", "e", "Left")
    assert window.ask("next(board.panels()).camera.begin.width") < 1
    assert window.ask("next(board.panels()).camera.end.x") < 0.5
    window.press("Escape", "space")
    window.wait(lambda: window.ask(f"{PLAYER}.playing"), "it to play")
    window.press("space", "Escape")
    for _ in range(9):
        window.press("ctrl+z")
    window.wait(lambda: window.ask("board.sound is None and next(board.panels()).seconds") == before, "Undo of it all")
