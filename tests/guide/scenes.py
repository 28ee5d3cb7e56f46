"""What is done in the window for each page of the guide, and when a picture is taken."""

import numpy as np
import pypdfium2
from PIL import Image, ImageDraw

from converters.convert import convert
from tests.converters.tiny import TINY, checkpoint
from tests.window.driver import ROOT, Window, middle
from tests.window.test_loras import make_lora

EXAMPLES = ROOT / "assets" / "examples"
PATIENCE = 180.0  # seconds for a run on a busy machine
PANEL = "document.panel(window.open_panel_id())"
SCRIPT = """Title: The Walk

EXT. BEACH - SUNSET

A robot stands on the beach and looks at the sea.

ROBOT
How large it is.

A fox comes by.

EXT. FOREST - NIGHT

Both walk home under the trees.
"""


def open_panel(window: Window, number: int) -> None:
    window.click(middle(window.panel(number)), times=2)
    window.wait(lambda: window.ask("window.open_panel_id()"), "the panel")


def render(window: Window, words: str, button: str = "Render") -> None:
    """Type into the panel that is open, render, and wait for what comes of it."""
    takes = f"len({PANEL}.takes)"
    before = window.ask(takes)
    if words:
        window.press("ctrl+a")
        window.type(words)
    window.press("ctrl+Return")
    window.wait(lambda: window.ask(takes) > before, button, PATIENCE)


def new_picture(window: Window, words: str) -> None:
    """A new board with one panel, made from words: square, as the built-in model knows it."""
    window.press("ctrl+n")
    window.wait(lambda: "Untitled" in window.ask("board.title"), "a new board")
    assert window.ask("board.aspect") == [1, 1]
    open_panel(window, 0)
    render(window, words)


def give_file(window: Window, path, above: int = 1) -> None:
    """To the dialog for files that comes up over so many windows."""
    window.wait(lambda: len(window.question("windows")) > above, "the dialog for files")
    window.answer(path)


def begin_edit(film, words: str) -> Window:
    """A new picture made from words, about to be changed."""
    window = film.start()
    new_picture(window, words)
    window.click("Change this picture")
    return window


def first_picture(film) -> None:
    window = film.start()
    window.press("ctrl+0")
    film.shoot("home")
    new_picture(window, "a panda in the snow at night")
    film.shoot("first-picture")


def panels(film) -> None:
    window = film.start()
    count = "sum(1 for one in board.panels() if one.take)"
    before = window.ask(count)
    window.click(window.find_at("Render 1 New"))
    window.wait(lambda: window.ask(count) > before, "the last panel", PATIENCE)
    window.click(middle(window.panel(1)))
    film.shoot("board")
    open_panel(window, 1)
    tabs = "window.stack.currentWidget().side.tabs"
    window.click(middle(window.ask(f"place({tabs}, {tabs}.tabRect(1))")))
    film.shoot("shot")


def cast(film) -> None:
    window = film.start()
    window.press("ctrl+2")
    film.shoot("cast")
    window.press("ctrl+1")
    open_panel(window, 6)
    window.press("ctrl+a")
    window.type("@")
    film.shoot("mention")


def edits(film) -> None:
    window = begin_edit(film, "a fox on the beach by day")
    render(window, "make it night")
    window.click("Compare")
    film.shoot("edit")


def masks(film) -> None:
    window = begin_edit(film, "a robot in the park by day")
    window.click("Mask a rectangle")
    x, y, width, height = window.ask("place(window.stack.currentWidget().stage.canvas)")
    side, left = min(width, height), x + (width - min(width, height)) // 2
    window.drag((left + side * 3 // 5, y + side // 2), (left + side * 19 // 20, y + side * 19 // 20))
    window.click("Instruction")
    window.type("add a fox on the right")
    film.shoot("mask")
    render(window, "")
    film.shoot("mask-result")


def placing(film) -> None:
    window = film.start()
    sofa = film.folder / "sofa.png"
    draw_sofa().save(sofa)
    new_picture(window, "a room by day")
    window.click("Place pictures")
    window.click("Place Picture…")
    give_file(window, sofa)
    window.wait(lambda: window.ask(f"len({PANEL}.placed)"), "the sofa")
    x, y = middle(window.ask("place(window.stack.currentWidget().stage.canvas)"))
    window.drag((x, y), (x - 60, y + 110))
    window.click("Instruction")
    window.type("a red sofa in the room")
    film.shoot("placing")


def posing(film) -> None:
    window = film.start()
    new_picture(window, "a bar by day")
    window.click("Pose figures")
    for place, pose in enumerate(("Walking", "Pointing"), 1):
        window.click("Add Figure")
        window.click(pose)
        window.wait(lambda: window.ask(f"sum(len(one.figures) for one in {PANEL}.references)") == place, pose)  # noqa: B023
    film.shoot("pose")


def boxing(film) -> None:
    model = "flux3-image-klein"
    list(convert(checkpoint(TINY[model], film.folder / "source"), film.folder / "home/models" / model, model=model))
    window = film.start()
    open_panel(window, 0)
    window.click("Draw boxes")
    x, y, width, height = window.ask("place(window.stack.currentWidget().stage.canvas)")
    side, left = min(width, height) - 32, x + (width - min(width, height)) // 2 + 16
    for words, box in (("a sleeping cat", (0.08, 0.5, 0.4, 0.8)), ("a green lamp", (0.6, 0.05, 0.95, 0.35))):
        corners = [round(at * side) for at in box]
        window.drag((left + corners[0], y + 16 + corners[1]), (left + corners[2], y + 16 + corners[3]))
        window.type(words)
        window.press("Return")
    film.shoot("boxes")


def draw_sofa() -> Image.Image:
    """A red sofa on nothing."""
    made = Image.new("RGBA", (300, 200), (0, 0, 0, 0))
    pen = ImageDraw.Draw(made)
    pen.rounded_rectangle((10, 60, 290, 180), 30, fill=(200, 60, 60, 255))
    pen.rounded_rectangle((30, 10, 270, 120), 30, fill=(170, 40, 40, 255))
    return made


def takes(film) -> None:
    window = begin_edit(film, "a unicorn in the forest by day")
    render(window, "make it night")
    render(window, "make it sunset")
    window.click("Change this picture")
    render(window, "move to the beach")
    film.shoot("takes")


def scripts(film) -> None:
    window = film.start()
    path = film.folder / "walk.fountain"
    path.write_text(SCRIPT, "utf-8")
    window.press("ctrl+i")
    give_file(window, path)
    window.wait(lambda: "Walk" in window.ask("board.title"), "the script")
    film.shoot("script")


def export(film) -> None:
    window = film.start()
    window.press("ctrl+e")
    film.shoot("export")
    window.click("Export…")
    path = film.folder / "gull.pdf"
    give_file(window, path)
    window.wait(path.is_file, "the sheets", PATIENCE)
    with pypdfium2.PdfDocument(path) as document:
        film.keep("sheets", document[0].render(scale=1.4).to_pil())
    window.press("ctrl+p", "space")
    film.shoot("animatic")


def models(film) -> None:
    window = film.start()
    window.press("ctrl+3")
    film.shoot("models")


def loras(film) -> None:
    lora = make_lora(film.folder / "downloads", "warm")
    (film.folder / "home").mkdir()
    window = film.start()
    window.press("ctrl+5")
    window.click("Choose Files…")
    give_file(window, lora)
    window.wait(lambda: window.shows("For the built-in model"), "its card")
    window.click("Use warm for the whole board")
    film.shoot("loras")


def training(film) -> None:
    folder = film.folder / "figures"
    folder.mkdir()
    for number in range(5):
        draw_on_paper(EXAMPLES / "robot.png", number).save(folder / f"bolt-{number}.png")
    window = film.start()
    window.press("ctrl+2")
    window.click("Add Member…")
    give_file(window, folder / "bolt-0.png")
    window.wait(lambda: "bolt-0" in window.ask("[one.name for one in board.cast]"), "the member")
    window.click("Teach This Character…")
    window.wait(lambda: window.shows("too few to teach"), "the dialog")
    window.click("Add Pictures…")
    give_file(window, " ".join(f'"{path}"' for path in sorted(folder.glob("*.png"))[1:]), above=2)
    window.wait(lambda: window.shows("5 pictures. Predicted:"), "the forecast")
    film.shoot("teach")


def draw_on_paper(path, number: int) -> Image.Image:
    """The figure on backgrounds of five colours, as pictures of one character differ."""
    figure = Image.open(path).convert("RGB")
    tint = np.random.default_rng(number).integers(-30, 30, 3)
    return Image.fromarray(np.clip(np.asarray(figure, int) + tint, 0, 255).astype(np.uint8))


def trouble(film) -> None:
    window = film.start()
    window.choose("Restore an Earlier State…")
    film.shoot("restore")


SCENES = {
    scene.__name__: scene
    for scene in (
        first_picture,
        panels,
        cast,
        edits,
        masks,
        placing,
        posing,
        boxing,
        takes,
        scripts,
        export,
        models,
        loras,
        training,
        trouble,
    )
}
