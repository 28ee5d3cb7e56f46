"""The window's words: what models are called, and what to do about an error."""

from collections.abc import Sequence
from pathlib import Path

from mlx_model.errors import AdviceCode, Hint
from mlx_model.helpers import HELPERS
from mlx_model.specs import SPECS

from ...base.words import show_plainly


def model_title(name: str | None, start: str = "Built-in model") -> str:
    """What a model is called in the window: the built-in one by what it is, others by their makers' names.

    `start` is for a sentence that begins with it: "The built-in model".
    """
    spec = SPECS.get(name or "") or HELPERS.get(name or "")
    if spec is None:
        return show_plainly(name, lines=False) if name else "No model"  # of a board: whatever it says
    return start if spec.repo is None else spec.title


WORDS: dict[AdviceCode, str] = {
    "add_a_model": "Add one under Models.",
    "add_depth": "Near is white, far is black. Depth Anything V2 Small makes one of a photo: download it under Models.",
    "add_model": "Add it under Models, or choose another model.",
    "add_model_again": "Remove it under Models and add it again.",
    "agree_to_licence": "Read {url} and agree to it under Models.",
    "bake_control_lora": "The command line can make one model of both, which the window then uses.",
    "bring_companions": "Put beside it: {places}.",
    "bring_missing": "Put it there, or choose Download the Rest.",
    "choose_class": "Choose a model that reads words.",
    "choose_model_for_edits": "Choose a model that edits: see Models.",
    "choose_model_for_masks": "Models shows which models do.",
    "choose_size": "Choose a size under Settings.",
    "choose_smaller_model": "A smaller model would fit: see Models.",
    "convert_it": "Add a model under Models.",
    "draw_edges_yourself": "This installation can't draw edges: start from a picture of them, or choose another model.",
    "give_member_a_picture": "Give it one under Cast.",
    "give_picture": "Choose one beside the words, or add a reference.",
    "install_part": "This installation lacks it; one by pip adds it, as its part “{name}”.",
    "import_zip": "A zipped board: File > Import.",
    "leave_out": "Leave {setting} at the model's own, under Settings.",
    "log_in": "Open {page} and accept the licence there, then choose Log In above the models.",
    "log_in_again": (
        "The token may be too old: log out and in again above the models. Or open {page} and accept the licence there."
    ),
    "log_in_with_rights": (
        "Open {page} and accept the licence there, then choose Log In above the models. A fine-grained token needs the "
        "right to read gated repositories."
    ),
    "look_at_token": "Log out and in again above the models, or look at HF_TOKEN.",
    "make_board": "File > New Board makes one.",
    "make_scene": "The board has {count}; Add Scene adds one.",
    "name_class": "Choose a model that reads words.",
    "name_model": "Add the model by its name under Models.",
    "name_other_model": "Download it again; if it is another model by that name, add it by its own name under Models.",
    "put_on_base": "It works on another model (Redux: on FLUX.1 dev). Add that one first.",
    "replace_model": "Remove that one under Models first, or choose another place.",
    "save_with_request": (
        "Only pictures that were saved with their request do, and only until another program rewrites them."
    ),
    "stay_under_size": "Stay under {megapixels} megapixels, for example {size} under Settings.",
    "try_other_numbers": "Try another seed; if it stays, remove the model and add it again.",
    "unset_offline": "Unset HF_HUB_OFFLINE and start the app again.",
    "where_to_paint": "Paint a mask on the picture first.",
    "write_again": "Your own words stay. Press the pen again for another answer.",
}


def in_window(hint: Hint) -> str:
    """The hint in words."""
    return hint if isinstance(hint, str) else WORDS[hint.code].format(**hint.values)


NAMED = 4  # places


def say_unknown(places: Sequence[str], subject: str) -> str:
    """That a model has not learned these places, before it draws others; "" of none."""
    named = ", ".join(f"“{place}”" for place in places[:NAMED])
    more = f" and {len(places) - NAMED} more" if places[NAMED:] else ""
    another = "another place comes out" if len(places) == 1 else "other places come out"
    return f"{subject} has never learned {named}{more}: {another}" if places else ""


TRASHES = (".Trash", "Trash", ".Trashes")  # names of folders


def is_in_trash(board: Path) -> bool:
    return any(part in TRASHES for part in board.parts)


def say_moved(board: Path) -> tuple[str, str]:
    """What is told of a board whose folder is elsewhere now, and what to do."""
    if is_in_trash(board):
        return f"{board.name} is in the Trash now.", "To keep it, save a copy: File > Save a Copy."
    return f"The board is now {board}.", "It goes on being saved there."
