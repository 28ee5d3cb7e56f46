"""From options to a checked request: everything that can be refused is refused here, before a model is opened."""

import dataclasses
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.base.shapes import parse_margins, parse_size
from app.board.mentions import compile_prompt
from app.models import library
from app.pictures import images, inputs
from mlx_model.errors import RequestError
from mlx_model.request import Lora, Request, check
from mlx_model.store.folder import Folder, open_folder

Options = dict[str, Any]


def prepare(options: Options, prompt: str | None, pictures: Sequence[str], notes: list[str]) -> tuple[Folder, Request]:
    """The model's folder and the request with defaults filled in and pixels loaded.

    Raises RequestError, NotInstalled, LayoutError, FolderVersionError.
    """
    recorded = _read_recorded(options)
    name = options["model"] or (recorded.model if recorded else None)
    folder = open_folder(library.resolve(name))
    base = _for_model(recorded, folder) if recorded else Request(library.name_of(folder))
    base = _with_pictures(base, options, _choose_pictures(pictures, options, folder), notes)
    base = dataclasses.replace(base, prompt=_prompt(base, prompt, recorded, folder), loras=_loras(base, options))
    return folder, check(dataclasses.replace(base, **_changes(options, folder, recorded)), folder.spec)


def _read_recorded(options: Options) -> Request | None:
    if not options["again"]:
        return None
    return images.read_request(options["again"])


def _for_model(recorded: Request, folder: Folder) -> Request:
    """With another model than the recorded one, its own steps and guidance count."""
    name = library.name_of(folder)
    if name == recorded.model:
        return recorded
    return dataclasses.replace(recorded, model=name, steps=None, guidance=None, sampler=None)


def _choose_pictures(pictures: Sequence[str], options: Options, folder: Folder) -> Sequence[str]:
    """The pictures of a run: those of edit, or the control picture of generate."""
    control, spec = options.get("control"), folder.spec
    if control and spec.pictures not in ("edges", "depth"):
        raise RequestError(f"{spec.name} follows no edges and no depth.", "Models that do: FLUX.1 Canny and Depth.")
    return (control,) if control else pictures


def _with_pictures(base: Request, options: Options, pictures: Sequence[str], notes: list[str]) -> Request:
    mask = options.get("mask")
    if pictures:
        references = tuple(inputs.load_reference(path, notes) for path in pictures)
        if base.outpaint:
            base = dataclasses.replace(base, outpaint=None, width=None, height=None)
        base = dataclasses.replace(base, references=references, mask=None, ready_made=False)
    elif options["again"]:
        base = inputs.reload(base, Path(options["again"]).absolute(), notes)
    if mask and base.references:
        base = dataclasses.replace(base, mask=inputs.load_mask(mask, inputs.pixels_of(base.references[0])))
    return base


def _loras(base: Request, options: Options) -> tuple[Lora, ...]:
    """Those that are asked for replace the recorded ones."""
    if options["loras"]:
        return tuple(inputs.load_lora(text) for text in options["loras"] if text != "none")
    return tuple(inputs.reload_lora(lora, Path(options["again"]).absolute()) for lora in base.loras)


def _prompt(base: Request, prompt: str | None, recorded: Request | None, folder: Folder) -> str:
    """A recorded prompt has its mentions compiled already."""
    if prompt is None and not recorded and folder.spec.takes_text and folder.spec.needs_prompt:
        raise RequestError("There is no prompt.", "Say what to change with -p PROMPT.")
    if prompt is None and recorded:
        return recorded.prompt
    return compile_prompt(prompt or "", [reference.name for reference in base.references], folder.spec.mention)


def _changes(options: Options, folder: Folder, recorded: Request | None) -> Options:
    """What the options say, where they say something."""
    direct = ("steps", "guidance", "negative", "strength", "dtype", "label", "sampler", "ready_made")
    changes = {key: options[key] for key in direct if options.get(key) is not None}
    if options.get("control") and folder.spec.pictures == "edges":
        changes["ready_made"] = True
    if options.get("outpaint"):
        changes |= {"outpaint": parse_margins(options["outpaint"]), "width": None, "height": None}
    if options["size"]:
        changes["width"], changes["height"] = parse_size(options["size"], folder.spec)
    noise = options["noise"] or (recorded.noise if recorded else None)
    if noise:
        changes["noise"] = _noise(noise)
    if options["seed"] is not None or recorded is None:
        changes["seed"] = secrets.randbelow(2**32) if options["seed"] is None else options["seed"]
    return changes


def _noise(path: str) -> str:
    if not os.path.isfile(path):
        raise RequestError(f"There is no file {path}.", "--noise takes a .safetensors file with a tensor `noise`.")
    return str(Path(path).absolute())
