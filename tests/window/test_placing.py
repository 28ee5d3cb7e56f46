"""Pictures are laid on the picture by a real mouse and by real keys: a sofa into a room, paint, and back to both."""

import json

import pytest
from PIL import Image, ImageDraw

from tests.window.driver import middle
from tests.window.test_edit_bar import PANEL, open_panel, takes, wait_for_takes

CANVAS = "window.stack.currentWidget().stage.canvas"
HAND = f"{CANVAS}.arranger"


@pytest.fixture
def sofa(tmp_path):
    """A red sofa on nothing."""
    path, made = tmp_path / "sofa.png", Image.new("RGBA", (300, 200), (0, 0, 0, 0))
    pen = ImageDraw.Draw(made)
    pen.rounded_rectangle((10, 60, 290, 180), 30, fill=(200, 60, 60, 255))
    pen.rounded_rectangle((30, 10, 270, 120), 30, fill=(170, 40, 40, 255))
    made.save(path)
    return path


def placed(window):
    """(x, y, width, angle, opacity, painted) of each."""
    return window.ask(f"[(p.x, p.y, p.width, p.angle, p.opacity, p.painted) for p in {PANEL}.placed]")


def spot(window, x, y):
    """A point of the picture, in shares of it, on the screen."""
    return tuple(window.ask(
        f"(lambda c: (lambda p: [c.mapToGlobal(p).x(), c.mapToGlobal(p).y()])((c.view.rect().topLeft() + "
        f"type(c.hover)(c.view.rect().width() * {x}, c.view.rect().height() * {y})).toPoint()))({CANVAS})"
    ))  # fmt: skip


def colour(window, x, y):
    """(red, green, blue) that is seen there."""
    code = f"(lambda c: list({CANVAS}.colour_at(c).getRgb())[:3])(type({CANVAS}.hover)(*[{x} * {CANVAS}.view.picture.width(), {y} * {CANVAS}.view.picture.height()]))"  # noqa: E501
    return window.ask(code)


def place_sofa(window, sofa):
    window.click("Place pictures")
    window.click("Place Picture…")
    window.wait(lambda: len(window.question("windows")) == 2, "the files")
    window.answer(sofa)
    window.wait(lambda: placed(window), "the sofa")


def composite(window):
    """The file that the last take's request names first, and whether that is what the take keeps."""
    take = f"{PANEL}.takes[-1]"
    first = json.loads(window.ask(f"{take}.request"))["references"][0]["sha256"]
    assert first == window.ask(f"{take}.composite.sha256")
    return window.ask(f"str(document.picture_path({first!r}))")


def test_a_sofa_is_placed_in_a_room_moved_scaled_turned_and_rendered(window, sofa):
    open_panel(window, 0)
    place_sofa(window, sofa)
    (x, y, width, *_) = placed(window)[0]
    assert (x, y, width) == (0.5, 0.5, 0.4)
    window.drag(spot(window, 0.5, 0.5), spot(window, 0.3, 0.7))
    (x, y, *_) = placed(window)[0]
    assert (round(x, 2), round(y, 2)) == (0.3, 0.7)
    corner = (0.3 + 0.2, 0.7 + 0.2 * 2 / 3)
    window.drag(spot(window, *corner), spot(window, corner[0] + 0.2, corner[1] + 0.2 * 2 / 3))
    (x, y, width, *_) = placed(window)[0]
    assert abs(width - 0.6) < 0.02, "pulled by its lower right corner"
    assert abs((x - width / 2) - 0.1) < 0.02, "the other corner stayed"
    window.press("period", "period")
    assert placed(window)[0][3] == 10.0
    window.press("ctrl+z")
    assert placed(window)[0][3] == 0.0, "two turns by keys are one step"
    window.press("ctrl+z")
    assert abs(placed(window)[0][2] - 0.4) < 1e-6
    window.press("ctrl+shift+z")
    red = colour(window, x, y)
    assert red[0] > 150 > red[1]
    window.click("Instruction")
    window.type("make it night")
    window.press("ctrl+Return")
    wait_for_takes(window, 2)
    with Image.open(composite(window)) as seen:
        pixel = seen.convert("RGB").getpixel((round(x * seen.width), round(y * seen.height)))
    assert pixel[0] > 150 > pixel[1], "the model saw the room without the sofa"
    assert len(placed(window)) == 1, "it can be tried again from the same"
    assert window.ask("window.stack.currentWidget().edit.render_bar.button.text()") == "Render Again"
    window.click("Change this picture")
    assert placed(window) == []
    window.click(middle(window.ask(f"place({CANVAS})")), button=3)
    window.click("Edit What Was Placed")
    window.wait(lambda: placed(window), "what lay there")
    assert abs(placed(window)[0][2] - 0.6) < 0.02
    assert window.ask(f"{CANVAS}.caption") == "Start: take 1"
    assert window.question("cut") == []


@pytest.fixture
def photo(tmp_path):
    """A red sofa on white paper."""
    path, made = tmp_path / "photo.jpg", Image.new("RGB", (300, 200), (250, 250, 248))
    ImageDraw.Draw(made).rounded_rectangle((60, 60, 240, 160), 20, fill=(200, 60, 60))
    made.save(path, quality=95)
    return path


def is_red(pixel):
    return pixel[0] > 150 > pixel[1]


def test_a_background_goes_and_parts_are_erased_before_the_model_sees_it(window, photo):
    open_panel(window, 0)
    behind = colour(window, 0.32, 0.5)
    place_sofa(window, photo)
    assert min(colour(window, 0.32, 0.5)) > 230, "white paper"
    window.click("Remove Background")
    window.wait(lambda: placed(window)[0][2] < 0.39, "what is left")
    assert colour(window, 0.32, 0.5) == behind
    assert is_red(colour(window, 0.5, 0.5))
    window.click("Erase parts")
    window.drag(spot(window, 0.55, 0.3), spot(window, 0.55, 0.7))
    window.wait(lambda: window.ask("document.history.undo_label") == "Erase Part of Picture", "the eraser")
    assert not is_red(colour(window, 0.55, 0.5))
    assert is_red(colour(window, 0.45, 0.5))
    window.click(window.find_at("Done", "PushButton"))
    assert window.ask("window.stack.currentWidget().stage.tool") == "place"
    assert window.question("cut") == []
    window.click("Instruction")
    window.type("make it night")
    window.press("ctrl+Return")
    wait_for_takes(window, 2)
    with Image.open(composite(window)) as seen:
        row = [seen.convert("RGB").getpixel((round(x * seen.width), seen.height // 2)) for x in (0.32, 0.45, 0.55)]
    assert [is_red(pixel) for pixel in row] == [False, True, False]
    assert min(row[0]) < 200, "the paper"


def test_a_background_goes_and_parts_are_erased_by_keys(window, photo):
    open_panel(window, 0)
    place_sofa(window, photo)
    window.tab_to("Remove Background")
    window.press("Return")
    window.wait(lambda: placed(window)[0][2] < 0.39, "what is left")
    window.tab_to("Erase parts")
    window.press("Return")
    window.wait(lambda: window.question("focus")["name"] == "Picture", "the keys on the picture")
    window.press(*["bracketright"] * 6, "Return", "Right", "Return")
    window.wait(lambda: window.ask("document.history.undo_label") == "Erase Part of Picture", "the eraser")
    window.press("e")
    assert window.ask("window.stack.currentWidget().stage.tool") == "place"
    window.press("ctrl+z", "ctrl+z")
    window.wait(lambda: abs(placed(window)[0][2] - 0.4) < 1e-6, "all of it again")
    window.press("e", "Escape")
    assert window.ask("window.stack.currentWidget().stage.tool") == "place"


def test_the_same_by_keys_alone(window, sofa):
    window.click(middle(window.panel(0)))
    window.press("ctrl+Down")
    window.wait(lambda: window.ask("window.open_panel_id()"), "the panel")
    window.tab_to("Look")
    window.press(*["Right"] * 6)
    assert window.question("focus")["name"] == "Place pictures"
    window.press("Return")
    assert window.question("focus")["name"] == "Picture"
    window.tab_to("Place Picture…")
    window.press("Return")
    window.wait(lambda: len(window.question("windows")) == 2, "the files")
    window.answer(sofa)
    window.wait(lambda: placed(window), "the sofa")
    window.wait(lambda: (window.question("focus") or {}).get("name") == "Picture", "the keys on the picture")
    window.press("shift+Left", "shift+Left", "bracketright", "comma", "m", "less", "less")
    (x, _, width, angle, opacity, _) = placed(window)[0]
    assert (round(x, 2), round(width, 2), angle, opacity) == (0.4, 0.42, -5.0, 0.8)
    assert "turned by -5 degrees" in window.ask(f"{CANVAS}.accessibleDescription()")
    window.press("Delete")
    assert placed(window) == []
    window.press("ctrl+z")
    assert len(placed(window)) == 1
    assert takes(window)[0][1] is None, "the panel is still there"
    window.press("n", "Escape")
    assert window.ask(f"{HAND}.held") == -1
    window.press("Escape")
    assert window.ask("window.stack.currentWidget().stage.tool") == "move"


def test_paint_and_eraser_and_the_colour_of_the_picture(window):
    open_panel(window, 0)
    window.click("Paint")
    window.click("Blue")
    before = colour(window, 0.5, 0.2)
    window.drag(spot(window, 0.3, 0.2), spot(window, 0.7, 0.2))
    window.wait(lambda: [one[5] for one in placed(window)] == [True], "the paint")
    assert colour(window, 0.5, 0.2) == [0x3F, 0x7F, 0xBF]
    window.drag(spot(window, 0.3, 0.3), spot(window, 0.7, 0.3))
    window.wait(lambda: window.ask("document.history.undo_label") == "Paint", "the second stroke")
    assert len(placed(window)) == 1, "one sheet for all strokes"
    window.click("Eraser")
    window.drag(spot(window, 0.5, 0.15), spot(window, 0.5, 0.25))
    window.wait(lambda: window.ask("document.history.undo_label") == "Erase Paint", "the eraser")
    assert colour(window, 0.5, 0.2) == before
    assert colour(window, 0.4, 0.2) == [0x3F, 0x7F, 0xBF]
    window.press("ctrl+z")
    window.wait(lambda: colour(window, 0.5, 0.2) == [0x3F, 0x7F, 0xBF], "the paint again")
    wanted = colour(window, 0.1, 0.9)
    window.click(spot(window, 0.1, 0.9), keys="ctrl")
    assert window.ask("list(window.stack.currentWidget().stage.laying.brush.colour.getRgb())[:3]") == wanted
    window.press("Return", "shift+Right", "shift+Right", "Return")
    window.wait(lambda: window.ask("document.history.undo_label") == "Paint", "a stroke by keys")
    window.press("ctrl+z", "ctrl+z", "ctrl+z")
    assert placed(window) == []


def test_the_panel_before_shines_through_and_says_which_it_is(window):
    open_panel(window, 1)
    alone = colour(window, 0.5, 0.9)
    window.click("Onion skin")
    window.wait(lambda: window.shows("Onion skin: panel 1A"), "the name of the panel")
    window.wait(lambda: not window.ask(f"{CANVAS}.onion.isNull()"), "its picture")
    assert window.ask(f"{CANVAS}.onion_opacity") == 0.4
    window.tab_to("Opacity of the onion skin")
    window.press("End")
    assert window.ask(f"{CANVAS}.onion_opacity") == 1.0
    window.click("Take the onion skin off")
    assert window.ask(f"{CANVAS}.onion.isNull()")
    assert colour(window, 0.5, 0.9) == alone
    window.click(middle(window.ask(f"place({CANVAS})")))
    window.press("o")
    assert window.shows("Onion skin: panel 1A")
    window.press("ctrl+bracketleft")
    window.wait(lambda: not window.shows("Onion skin: panel 1A"), "the first panel")
    window.click(middle(window.ask(f"place({CANVAS})")))
    window.press("o", "o")
    window.wait(lambda: window.shows("There is no panel before this one"), "that there is none")


def click_gull(window, item: str) -> None:
    """In the menu of its picture among the references."""
    tile = next(w for w in window.question("widgets") if "gull, character" in w["name"])
    window.click(middle(tile["rect"]), button=3)
    window.click(item)


CROPS = f"[(r.crop.box if r.crop else None) for r in {PANEL}.references]"


def crop_gull(window) -> tuple[int, int]:
    """The left half of it, three quarters from the top, of a reference that is kept; the size of the whole."""
    click_gull(window, "Keep as a Reference")
    window.wait(lambda: window.ask(CROPS), "the reference")
    click_gull(window, "Crop…")
    window.wait(lambda: "Crop Reference" in window.question("windows"), "the crop")
    field = window.find("Part of the picture")["rect"]
    width, height = window.ask(f"[{PANEL}.references[0].picture.width, {PANEL}.references[0].picture.height]")
    scale = min((field[2] - 28) / width, (field[3] - 28) / height)
    corner = round(field[0] + field[2] / 2 + scale * width / 2), round(field[1] + field[3] / 2 + scale * height / 2)
    window.drag(corner, (round(corner[0] - scale * width / 2), round(corner[1] - scale * height / 4)))
    window.press("Return")
    window.wait(lambda: window.ask(CROPS)[0], "the crop of the reference")
    return width, height


def test_a_cropped_reference_is_dragged_onto_the_picture_as_it_is_shown(window):
    open_panel(window, 0)
    crop_gull(window)
    left, top, right, bottom = window.ask(CROPS)[0]
    tile = next(one for one in window.question("widgets") if one["class"] == "ReferenceTile" and "gull" in one["name"])
    window.drag(middle(tile["rect"]), spot(window, 0.3, 0.3))
    window.wait(lambda: placed(window), "the part on the picture")
    picture = f"{PANEL}.placed[0].picture"
    assert window.ask(f"[{picture}.width, {picture}.height]") == [right - left, bottom - top]
    assert [round(one, 1) for one in placed(window)[0][:2]] == [0.3, 0.3]


def test_a_reference_is_cropped_and_the_run_sees_the_part(window):
    open_panel(window, 0)
    before = window.ask("next(one for one in board.cast if one.name == 'gull').pictures[0].sha256")
    width, height = crop_gull(window)
    left, top, right, bottom = window.ask(CROPS)[0]
    assert (left, top) == (0, 0)
    assert abs(right / width - 0.5) < 0.03
    assert abs(bottom / height - 0.75) < 0.03
    assert window.ask(f"{PANEL}.references[0].picture.sha256") == before, "the picture itself stays"
    window.click("New from words")
    window.type("@gull on the beach")
    window.press("ctrl+Return")
    wait_for_takes(window, 2)
    asked = json.loads(window.ask(f"{PANEL}.takes[-1].request"))["references"]
    assert [left, top, right, bottom] in [one["crop"] for one in asked]
    window.press("ctrl+z", "ctrl+z", "ctrl+z")
    window.wait(lambda: window.ask(CROPS)[0] is None, "the whole picture")
