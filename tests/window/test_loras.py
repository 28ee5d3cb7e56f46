"""A LoRA is added by hand, used for the whole board and for one panel, and rendered with on the built-in model."""

import json

from PIL import Image

from tests.model.store.made_loras import low_rank, peft, save


def make_lora(folder, name):
    parts = {}
    for block in (0, 1):
        parts |= peft(
            f"diffusion_model.double_blocks.{block}.img_attn.qkv", *(3 * one for one in low_rank(0, 768, 256))
        )
    folder.mkdir()
    Image.effect_mandelbrot((300, 200), (-2, -1, 1, 1), 40).convert("RGB").save(folder / f"{name}.png")
    return save(folder / f"{name}.safetensors", parts, {"modelspec.trigger_phrase": "warm light"})


def test_a_lora_is_added_used_and_rendered_with(window, tmp_path):
    file = make_lora(tmp_path / "downloads", "warm")
    window.press("ctrl+5")
    window.wait(lambda: window.shows("No LoRAs yet"), "the empty page")
    window.picture(tmp_path / "empty.png")
    window.click("Choose Files…")
    window.wait(lambda: len(window.question("windows")) > 1, "the file dialog")
    window.type(file)
    window.press("Return")
    window.wait(lambda: window.shows("For the built-in model"), "its card")
    assert window.shows("Trigger words: warm light")
    window.click("Use warm for the whole board")
    window.click("Strength of warm, as a number")
    window.press("ctrl+a")
    window.type("0.5")
    window.press("Return")
    assert window.ask("[(one.name, one.strength) for one in board.loras]") == [["warm", 0.5]]
    window.picture(tmp_path / "page.png")

    window.press("ctrl+1")
    x, y, width, height = window.panel(0)
    window.click((x + width // 2, y + height // 2), times=2)
    window.wait(lambda: window.ask("window.open_panel_id()"), "the panel")
    assert window.shows("warm 0.5"), "the settings' one line"
    window.click("Settings")
    window.click(window.find_at("Guidance"), button=5, times=10)  # the wheel, down to the last setting
    window.click(window.find_at("LoRAs", "ChoiceField"))
    window.picture(tmp_path / "list.png")
    window.press("Escape")
    takes = window.ask("len(board.panel(window.open_panel_id()).takes)")
    window.picture(tmp_path / "panel.png")
    window.press("ctrl+Return")
    window.wait(lambda: window.ask("len(board.panel(window.open_panel_id()).takes)") > takes, "the picture", 120)
    (lora,) = json.loads(window.ask("board.panel(window.open_panel_id()).take.request"))["loras"]
    assert (lora["path"], lora["scale"]) == (str(window.home / "loras" / "warm.safetensors"), 0.5)
    assert len(lora["sha256"]) == 64
    window.picture(tmp_path / "done.png")
