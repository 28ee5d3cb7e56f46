"""What to do about an error, in the words of the command line."""

from mlx_model.errors import AdviceCode, Hint

WORDS: dict[AdviceCode, str] = {
    "add_a_model": "Add one, for example: flux-local models add {name}",
    "add_model": "Add it with: flux-local models add {name}",
    "add_model_again": "flux-local models add {name} --force, or remove {path}",
    "agree_to_licence": "Read {url} and agree with --accept-licence.",
    "bake_control_lora": (
        "Make a model of both: flux-local convert FLUX.1-dev -o DIR --model flux1-canny-dev --lora FILE, or "
        "flux1-depth-dev for depth."
    ),
    "bring_companions": "Put beside it, or name a folder that holds them with --companions: {places}.",
    "bring_missing": "Put it there, or let --download-missing fetch only that.",
    "choose_class": "Say for example --class 207.",
    "choose_model_for_edits": "Choose a model that edits: flux-local models list.",
    "choose_model_for_masks": "flux-local models list shows which models do.",
    "choose_size": "Say for example --size 1024x768.",
    "choose_smaller_model": "A smaller model would fit: see flux-local models list.",
    "convert_it": "See: flux-local convert --help",
    "draw_edges_yourself": (
        'Install it with: pip install "flux-local-studio[edges]", or give a ready-made edge map (--ready-made).'
    ),
    "give_member_a_picture": "Give it one: flux-local board cast.",
    "give_picture": "Give one: flux-local edit PICTURE -p ...",
    "install_part": 'Install it with: pip install "flux-local-studio[{name}]"',
    "import_zip": "A zipped board: flux-local board import.",
    "leave_out": "Leave --{setting} out.",
    "make_board": "flux-local board new makes one.",
    "make_scene": "The board has {count}; --new-scene adds one.",
    "name_class": "Name a class from 0 to {last}.",
    "name_model": "Say which with --model NAME.",
    "name_other_model": "Download it again; if it is another model by that name, say so with --model {name}.",
    "put_on_base": (
        "It works on another model (Redux: on FLUX.1 dev). Add that one first and this one with `models add`, or name "
        "its folder, as published or converted: convert --companions DIR."
    ),
    "replace_model": "Choose another place, or replace it with --force.",
    "save_with_request": (
        "Only pictures saved by generate or edit with --metadata do, and only until another program rewrites them."
    ),
    "stay_under_size": "Stay under {megapixels} megapixels, for example with --size {size}.",
    "try_other_numbers": (
        "Try --dtype float32, or another seed; if it stays, verify the model: flux-local models verify."
    ),
    "unset_offline": "Unset HF_HUB_OFFLINE, or give a folder that has the files with --from.",
    "where_to_paint": "Give --mask M, or --outpaint L,T,R,B.",
}


def on_command_line(hint: Hint) -> str:
    """The hint in words."""
    return hint if isinstance(hint, str) else WORDS[hint.code].format(**hint.values)
