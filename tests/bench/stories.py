"""What a person does that may make the window stand still: the stories that freezes.py times, in the order driven."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from PIL import Image

from tests.bench.window import large_board
from tests.model.store.made_loras import low_rank, peft, save
from tests.window.driver import Window, middle

Story = tuple[str, Callable[[Window], object]]
LORAS, JOBS, TAKES, DROPPED = 500, 500, 200, 100
PICTURES = "len([panel for panel in board.panels() if panel.take])"


def prepare(folder: Path, home: Path) -> None:
    """Photos, boards and LoRAs for the stories, in `folder` and in the program's `home`."""
    small = Image.fromarray(np.random.default_rng(0).integers(0, 256, (150, 200, 3), np.uint8))
    small.resize((4000, 3000), Image.Resampling.BICUBIC).save(folder / "photo.jpg", quality=85)
    small.resize((8000, 6000), Image.Resampling.BICUBIC).save(folder / "large.jpg", quality=85)
    (folder / "many").mkdir()
    for number in range(DROPPED):
        path = folder / "many" / f"{number:03}.jpg"
        small.rotate(number).resize((1600, 1200), Image.Resampling.BICUBIC).save(path, quality=85)
    large_board(folder)
    board_of_takes(folder)
    fill_loras(home / "loras")


def board_of_takes(folder: Path) -> Path:
    """A board whose first panel has TAKES takes, each of its own picture of 1024 x 1024."""
    from app.board.data import Panel, Scene, Take, new_board, new_id
    from app.fluxboard.file import BoardFile

    with BoardFile.create(folder / "takes", new_board("Takes")) as file:
        random, takes = np.random.default_rng(1), []
        for number in range(TAKES):
            small = random.integers(0, 255, (16, 16, 3), dtype=np.uint8)
            picture = file.put_picture(np.kron(small, np.ones((64, 64, 1), np.uint8)))
            takes.append(
                Take(new_id(), picture, "", "mini", "2026-01-01T00:00:00", number, instruction="make it night")
            )
        panel = Panel(new_id(), "a fox in the snow", takes=tuple(takes), current=takes[-1].id)
        file.save(replace(file.board, scenes=(Scene(new_id(), "", (panel, Panel(new_id(), "a dog"))),)))
        return file.path


def fill_loras(folder: Path) -> None:
    """LORAS files for the built-in model, each with a picture beside it and words in its header."""
    folder.mkdir(parents=True)
    parts = peft("diffusion_model.double_blocks.0.img_attn.qkv", *low_rank(0, 768, 256))
    words = {"modelspec.trigger_phrase": "warm light", "modelspec.description": "Light as of an evening in the south"}
    save(folder / "style-000.safetensors", parts, words)
    Image.effect_mandelbrot((600, 400), (-2, -1, 1, 1), 40).convert("RGB").save(folder / "style-000.png")
    for number in range(1, LORAS):
        for end in ("safetensors", "png"):
            shutil.copy(folder / f"style-000.{end}", folder / f"style-{number:03}.{end}")


def drop(*paths: str) -> None:
    """In the program: files are dropped on the board, as a file manager does."""
    from PySide6.QtCore import QMimeData, QPointF, Qt, QTimer, QUrl
    from PySide6.QtGui import QDropEvent
    from PySide6.QtWidgets import QApplication

    window = next(top for top in QApplication.topLevelWidgets() if type(top).__name__ == "MainWindow")
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(path) for path in paths])
    flags = Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    drop.event = QDropEvent(QPointF(200, 200), *flags)  # type: ignore[attr-defined]  # until it was handled
    drop.mime = mime  # type: ignore[attr-defined]
    QTimer.singleShot(0, lambda: window.pages["board"].grid.dropEvent(drop.event))


def drop_and_wait(window: Window, *paths: Path) -> None:
    before = window.ask("len(list(board.panels()))")
    given = ", ".join(repr(str(path)) for path in paths)
    window.ask(f"__import__('tests.bench.stories', fromlist=['drop']).drop({given})")
    window.wait(
        lambda: window.ask("len(list(board.panels()))") == before + len(paths), "the pictures to be on the board", 240
    )
    time.sleep(1)


def open_typed(window: Window, path: Path) -> None:
    window.press("ctrl+o")
    window.wait(lambda: len(window.question("windows")) > 1, "the dialog")
    window.wait(lambda: "LineEdit" in (window.question("focus") or {"class": ""})["class"], "its field")
    window.press("ctrl+a")
    window.type(str(path))
    window.press("Return")
    window.wait(lambda: window.ask("str(document.file.path)") == str(path), "the board")
    time.sleep(1)


def open_panel(window: Window, number: int = 0) -> None:
    if not number:
        window.press("Home")
    window.click(middle(window.panel(number)), times=2)
    window.wait(lambda: window.ask("window.pages['panel'].isVisible()"), "the panel")
    time.sleep(0.5)


def change_theme(window: Window) -> None:
    window.press("ctrl+comma")
    window.wait(lambda: len(window.question("windows")) > 1, "the settings")
    window.click(window.find_at("Appearance", "ChoiceField"))
    window.press("Down", "Return")
    time.sleep(0.5)
    window.press("Escape")
    time.sleep(0.5)


def show(window: Window, keys: str) -> None:
    window.press(keys)
    time.sleep(1.5)


def scroll_page(window: Window) -> None:
    window.hands("mousemove", 700, 500)
    for _ in range(30):
        window.hands("click", "--repeat", 10, "--delay", 15, 5)
    time.sleep(0.5)


def scroll(window: Window) -> None:
    window.press("ctrl+1")
    scroll_page(window)


def render(window: Window) -> None:
    window.press("ctrl+1")
    window.click(middle(window.panel(0)))
    takes = "len(next(board.panels()).takes)"
    before = window.ask(takes)
    window.press("ctrl+r")
    window.wait(lambda: window.ask(takes) > before, "the picture", 300)
    time.sleep(0.5)


def export(window: Window) -> None:
    window.press("ctrl+e")
    window.wait(lambda: "Export" in window.question("windows"), "the export dialog")
    window.press("Return")
    window.wait(lambda: len(window.question("windows")) > 1 and "Export" not in window.question("windows"), "where to")
    window.press("ctrl+a")
    window.type(str(window.home / "out.pdf"))
    window.press("Return")
    window.wait(lambda: window.shows("Exported "), "the PDF", 120)


def teach(window: Window) -> None:
    """The dialog, with ten pictures."""
    folder = window.home.parent / "many"
    window.press("ctrl+2")
    window.wait(lambda: window.shows("Teach This Character…"), "the cast")
    window.click("Teach This Character…")
    window.wait(lambda: window.shows("Add Pictures…"), "the dialog")
    window.click("Add Pictures…")
    window.wait(lambda: len(window.question("windows")) > 2, "the file dialog")
    window.type(" ".join(f'"{path}"' for path in sorted(folder.iterdir())[:10]))
    window.press("Return")
    window.wait(lambda: window.shows("Predicted:"), "the forecast", 120)
    time.sleep(1)
    window.press("Escape")
    window.wait(lambda: len(window.question("windows")) == 1, "the end of it")


def open_story(window: Window, number: int = 1) -> None:
    """One of Home, by keys; the first one (0) is the board that a first start shows."""
    window.press("ctrl+0")
    window.wait(lambda: (window.question("focus") or {}).get("class") == "Card", "Home")
    before = window.ask("str(document.file.path)")
    window.press(*["Right"] * number, "Return")
    window.wait(lambda: window.ask("str(document.file.path)") != before, "the story")
    time.sleep(2)


def make_new(window: Window) -> None:
    window.press("ctrl+n")
    window.wait(lambda: window.ask("document.board.title") == "Untitled", "the new board")
    time.sleep(2)


def type_much(window: Window) -> None:
    """Letters at the beginning and at the end of as much as a field takes."""
    open_panel(window)
    window.ask(f"app.clipboard().setText({'a fox in the snow and a gull, '!r} * 3300)")
    window.press("ctrl+a", "ctrl+v", "a", "b", "BackSpace", "ctrl+Home", "a", "b", "BackSpace", "ctrl+z")
    time.sleep(0.5)


def open_masked(window: Window) -> None:
    """The panel of the large photo."""
    large = "[i for i, panel in enumerate(board.panels()) if panel.take and panel.take.picture.width == 8000][0]"
    window.press("ctrl+1")
    open_panel(window, window.ask(large))
    window.wait(lambda: window.ask("not window.pages['panel'].stage.canvas.picture.isNull()"), "the picture", 120)
    time.sleep(1)


def paint_mask(window: Window) -> None:
    """Three strokes, a rectangle, inverted, softened; undone and done again."""
    window.click("Mask brush")
    x, y, width, height = window.find("Picture", "Canvas")["rect"]
    mask = "board.panel(window.open_panel_id()).mask"
    for part in (0.3, 0.5, 0.7):
        window.drag(
            (round(x + 0.3 * width), round(y + part * height)), (round(x + 0.7 * width), round(y + part * height))
        )
    window.wait(lambda: window.ask(f"{mask} is not None"), "the mask", 60)
    window.click("Mask a rectangle")
    window.drag((round(x + 0.4 * width), round(y + 0.2 * height)), (round(x + 0.6 * width), round(y + 0.8 * height)))
    for name in ("Invert mask", "Feather mask"):
        window.click(name)
    window.press("ctrl+z", "ctrl+z", "ctrl+shift+z", "ctrl+shift+z")
    time.sleep(1)
    window.click("Done")
    time.sleep(0.5)


def edit_many(window: Window) -> None:
    """On 1,000 panels: some deleted, undone and redone, all selected, moved, undone."""
    window.press("ctrl+1", "Home")
    window.click(middle(window.panel(3)))
    window.press("Delete", "ctrl+z", "ctrl+shift+z", "ctrl+z", "ctrl+d", "ctrl+z", "alt+Right", "ctrl+z", "ctrl+a")
    window.press("Delete", "ctrl+z", "ctrl+shift+z", "ctrl+z", "Escape")
    time.sleep(0.5)


def queue_many(window: Window) -> None:
    """JOBS jobs in a paused queue, looked at, scrolled, and cancelled."""
    window.press("ctrl+4")
    window.click("Pause")
    window.press("ctrl+1", "Home")
    window.click(middle(window.panel(0)))
    window.ask(f"grid.select(tuple(panel.id for panel in board.panels())[:{JOBS}])")
    window.press("ctrl+r")
    window.wait(lambda: len(window.question("windows")) > 1, "the question")
    window.click(window.find_at("Render", "QPushButton"))
    window.wait(lambda: window.ask("window.session.busy()") == JOBS, "the jobs", 120)
    time.sleep(0.5)


def look_at_queue(window: Window) -> None:
    show(window, "ctrl+4")
    scroll_page(window)


def cancel_many(window: Window) -> None:
    window.click("Cancel All")
    window.wait(lambda: window.ask("window.session.busy()") == 0, "the end of all", 60)
    window.click("Continue")
    time.sleep(0.5)


def come_and_go(window: Window, boards: list[Path]) -> None:
    """Boards are opened, made and left while one renders."""
    window.press("ctrl+1", "Home")
    window.click(middle(window.panel(0)))
    window.press("ctrl+alt+r")
    for path in boards:
        open_typed(window, path)
        window.press("ctrl+n")
        time.sleep(0.5)
    window.wait(lambda: window.ask("window.session.busy()") == 0, "the end of the run", 300)
    time.sleep(0.5)


def walk_takes(window: Window) -> None:
    """A panel of TAKES takes: opened, gone through by key, one deleted, undone."""
    open_panel(window)
    window.click("Takes")
    window.press(*["Left"] * 10, "Home", "End", "Delete", "ctrl+z")
    time.sleep(0.5)


def stories(folder: Path) -> Iterator[Story]:
    """On one program that starts for the first time, with what `prepare` made in `folder`."""
    large, takes = folder / "large.fluxboard", folder / "takes.fluxboard"
    yield "first start", lambda window: time.sleep(2)
    yield "first panel of a session", open_panel
    yield "theme", change_theme
    yield "a story of Home", open_story
    yield "100,000 characters typed into", type_much
    yield "a new board", make_new
    yield "a story after it", lambda window: open_story(window, 2)
    yield "cast", lambda window: show(window, "ctrl+2")
    yield "teach dialog", teach
    yield "models", lambda window: show(window, "ctrl+3")
    yield "queue", lambda window: show(window, "ctrl+4")
    yield f"library of {LORAS} LoRAs", lambda window: show(window, "ctrl+5")
    yield "scroll it", scroll_page
    yield "back to the board", lambda window: show(window, "ctrl+1")
    yield "photo of 12 megapixels dropped", lambda window: drop_and_wait(window, folder / "photo.jpg")
    yield "photo of 48 megapixels dropped", lambda window: drop_and_wait(window, folder / "large.jpg")
    yield "its panel opened", open_masked
    yield "a mask painted on it", paint_mask
    yield "render", render
    yield "export", export
    yield f"{DROPPED} pictures dropped", lambda window: drop_and_wait(window, *sorted((folder / "many").iterdir()))
    yield f"panel with {TAKES} takes", lambda window: open_typed(window, takes)
    yield "its takes walked through", walk_takes
    yield "open 1,000 panels", lambda window: open_typed(window, large)
    yield "scroll 1,000 panels", scroll
    yield "edit, undo, redo them", edit_many
    yield "panel of the large board", open_panel
    yield "theme, while it is open", change_theme
    yield f"queue of {JOBS} jobs filled", queue_many
    yield "looked at", look_at_queue
    yield "all cancelled", cancel_many
    yield "boards come and go in a run", lambda window: come_and_go(window, [takes, large])
