"""The button for files of ComfyUI, with a real folder dialog and the real converter behind it."""

import json

from tests.converters.test_folders import comfy
from tests.converters.tiny import TINY

MODEL = "flux2-klein-4b"
HAVE = "I Have ComfyUI, mflux or Hugging Face Files…"


def test_a_model_of_comfyui_is_added(window, tmp_path):
    root = comfy(tmp_path / "ComfyUI", TINY[MODEL], "flux-2-klein-4b")
    window.press("ctrl+3")
    window.click(HAVE)
    window.wait(lambda: len(window.question("windows")) > 1, "the folder dialog")
    window.press("ctrl+a")
    window.type(str(root))
    window.press("Return")
    window.wait(lambda: window.shows("1 model can be made of what lies here."), "the list")
    window.picture(tmp_path / "found.png")
    window.click(window.find_at("Add", "PushButton"))
    made = window.home / "models" / MODEL / "model.json"
    window.wait(made.is_file, "the model to be made", 60)
    assert json.loads(made.read_text())["model"] == MODEL
    window.wait(lambda: window.ask(f"bool(window.page('models').cards['{MODEL}'].installed)"), "its card to say so")
    window.picture(tmp_path / "added.png")
