"""One run of generate or edit: from options to a checked request, whether it fits, sample, save.

Everything that can be refused is refused before a model is opened.
"""

import dataclasses
import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.base import paths
from app.base.words import say_count
from app.engine.running import (
    Output,
    awake,
    choose_reference_size,
    is_launched,
    open_pipeline,
    require_memory,
    run_and_save,
)
from app.pictures import images, metadata
from mlx_model import files
from mlx_model.errors import DiskFull, RequestError
from mlx_model.events import Done, Stage
from mlx_model.request import MAX_SEED, Request
from mlx_model.specs import ModelSpec

from .say import Reporter, echo_path

if TYPE_CHECKING:
    from app.engine.together import Group
    from mlx_model.run.pipeline import Pipeline
    from mlx_model.store.folder import Folder

import secrets
import unicodedata

from app.models import library
from app.pictures import inputs
from mlx_model.request import Lora, check
from mlx_model.store.folder import Folder, open_folder, sha256_of

Options = dict[str, Any]


def run(options: Options, prompt: str | None, pictures: Sequence[str], default_name: str) -> None:
    """Do what generate and edit do. Raises FluxLocalError of every kind; KeyboardInterrupt closes the run."""
    report = Reporter(options["as_json"])
    if options["again"] and _repeat(options, default_name, report):
        return
    notes: list[str] = []
    group = _join(options) if is_launched() else None
    folder, request = prepare(options, prompt, pictures, notes)
    if group:
        request = _agree(group, folder, request)
        if group.rank():
            _take_part(folder, request, options, group)
            return
    given = _list_given(options, request)
    output = _output(options, default_name, request, folder.path, given)
    if any(options.get(name) for name in ("write", "writer", "as_object")):
        own = prompt or request.own_words or request.prompt  # with --again what was recorded is written out anew
        _prompt(request, own, None, folder)
        text = _write_out(options, own, request, report)  # last, as it takes minutes: all else is right by now
        prompt, own = _prompt(request, text, None, folder), unicodedata.normalize("NFC", own)
        request = check(dataclasses.replace(request, prompt=prompt, own_words=own), folder.spec)
    elif folder.spec.needs_writer and not request.own_words:
        notes += _tell_need(folder.spec, request.prompt)
    for note in notes:
        report.note(note)
    report.note(_forecast(folder, request, options, group.size() if group else 1))
    pipeline = open_pipeline(folder.path, request.dtype)
    pipeline.group = group
    try:
        with awake():
            for number in range(options["count"]):
                seeded = _nth_seed(request, number)
                place = _place(options, _nth(output, number, options["force"]), number, given)
                _one(pipeline, seeded, place, options["as_json"], report)
    finally:
        report.clear()


def _repeat(options: Options, default_name: str, report: Reporter) -> bool:
    """Where no model has painted the picture; False where one has."""
    from .helper import repeat  # few pictures are such

    return repeat(options, default_name, report)


def _join(options: Options) -> "Group | None":
    """The processes that share the model. Raises RequestError for what they would not do alike."""
    from app.engine import together  # most runs are alone

    if not (group := together.join()):
        return None
    together.end_when_deaf()
    if any(options.get(name) for name in ("write", "writer", "as_object")):
        raise RequestError("Processes that share a model don't take --write.", "Have the words written out before.")
    if options.get("enlarge"):
        raise RequestError("Processes that share a model don't enlarge.", "Let one machine do it.")
    return group


def _agree(group: "Group", folder: "Folder", request: Request) -> Request:
    """With the first one's seed. Raises RequestError where all else isn't the same."""
    from app.engine import together

    if request.step_cache:
        raise RequestError("Processes that share a model don't take --step-cache.", "Leave it out.")
    request = dataclasses.replace(request, seed=together.agree(group, request.seed))
    together.require_same(group, tell_apart(folder, request))
    return request


def tell_apart(folder: "Folder", request: Request) -> str:
    """What has to be the same on every machine; where its files lie may differ."""
    weights = sorted(sha256 for one in folder.components.values() for sha256 in map(str, one.files.values()))
    noise = sha256_of(Path(request.noise)) if request.noise else None
    bare = dataclasses.replace(request, model="", noise=noise)
    return f"{weights} {metadata.hide_paths(bare.to_json())}"


def _take_part(folder: "Folder", request: Request, options: Options, group: "Group") -> None:
    """What a process that isn't the first does: its blocks of every picture, which the first one decodes and saves."""
    require_memory(folder, request, options["low_memory"], group.size())
    pipeline = open_pipeline(folder.path, request.dtype)
    pipeline.group, pipeline.low_memory = group, options["low_memory"]
    with awake():
        for number in range(options["count"]):
            with closing(pipeline.run(_nth_seed(request, number))) as events:
                for event in events:
                    if isinstance(event, Stage) and event.name == "decode":
                        break


def _nth_seed(request: Request, number: int) -> Request:
    return dataclasses.replace(request, seed=(request.seed + number) % (MAX_SEED + 1))


def _write_out(options: Options, prompt: str, request: Request, report: Reporter) -> str:
    """What the writer makes of the prompt, said and recorded. The writer is gone before the model comes."""
    from .write import Asked, find_spec, write_out

    spec = find_spec(options["model"] or request.model)
    names = [f"@{number} ({one.name or Path(one.path).stem})" for number, one in enumerate(request.references, 1)]
    asked = Asked(prompt, names, bool(names), options["seed"] or 0, options["as_object"])
    text = write_out(asked, options["writer"], spec, report)
    report.note(f"Written out: {text}")
    return text


def _tell_need(spec: ModelSpec, prompt: str) -> list[str]:
    """What a prompt of a few words lacks."""
    from app.models.writers import find_writer
    from mlx_model.writing import is_short

    if not is_short(prompt):
        return []
    how = "" if find_writer(spec) else f", once there is a writer: flux-local models add {spec.writer}"
    return [f"{spec.title} makes generic pictures of a few words. --write writes them out{how}."]


def _list_given(options: Options, request: Request) -> tuple[str, ...]:
    """Every file that this run reads, also those that a recorded request names."""
    named = [file.path for file in (*request.references, request.mask, *request.loras) if file]
    return tuple(path for path in (*named, request.noise, options["again"]) if path)


def _output(options: Options, default_name: str, request: Request, model: Path, given: tuple[str, ...]) -> Path:
    """The picture's path, tried for writing. Raises RequestError or DiskFull."""
    named = options["output"] or default_name
    output = Path(named).expanduser()
    if named.endswith(os.sep) and not os.path.isdir(output):
        raise RequestError(f"There is no folder {output}.", "Create it first, or choose another output.")
    output = (output / default_name if os.path.isdir(output) else output).absolute()
    images.format_of(output)
    if options["save_latents"] and Path(options["save_latents"]).suffix.lower() != ".safetensors":
        raise RequestError(f"{options['save_latents']} is no name for latents.", "End it in .safetensors.")
    for path in map(Path, filter(None, (output, options["save_latents"]))):
        _require_free(path, model)
        for number in range(options["count"] if options["force"] else 0):
            files.require_other(_nth(path.absolute(), number, True), given)
        files.check_writable(path.absolute())
    if options["preview"]:
        _require_free(Path(options["preview"]), model)
        _make_folder(Path(options["preview"]))
    _check_space(output, request, options["count"])
    return output


def _require_free(path: Path, model: Path) -> None:
    """Raises RequestError for a place in what Flux Local keeps: --force would put a picture over weights or blobs."""
    if files.lies_in(path, model):
        raise RequestError(f"{path} is inside the model {model.name}.", "Choose another place.")
    paths.require_free(path)


def _make_folder(folder: Path) -> None:
    try:
        files.make_folders(folder)
    except OSError as error:
        raise RequestError(
            f"{folder} can't be made: {files.say_why(error, folder)}.", "Choose another folder."
        ) from error
    files.check_writable(folder / "step.png")


def _check_space(output: Path, request: Request, count: int) -> None:
    """An uncompressed picture is the most that one can take."""
    needed = 3 * (request.width or 0) * (request.height or 0) * count
    if paths.free_bytes(output.parent) < needed:
        raise DiskFull(f"There is no room for the pictures in {output.parent}.", "Free some space.")


def _forecast(folder: "Folder", request: Request, options: Options, machines: int) -> str:
    """What the person reads before it starts. Raises WillNotFit."""
    require_memory(folder, request, options["low_memory"], machines)
    count = options["count"]
    several = f" to {(request.seed + count - 1) % (MAX_SEED + 1)}" if count > 1 else ""
    size = f"{request.width}x{request.height}"
    steps = say_count(request.steps or 0, "step")
    return f"{folder.spec.title}, {size}, {steps}, seed {request.seed}{several}."


def _nth(output: Path, number: int, force: bool) -> Path:
    """With --force each picture of --count still has its own name; without, the name is numbered when it is taken."""
    return output.with_name(f"{output.stem}-{number + 1}{output.suffix}") if number and force else output


def _place(options: Options, output: Path, number: int, given: tuple[str, ...]) -> Output:
    latents = options["save_latents"] and _nth(Path(options["save_latents"]).absolute(), number, options["force"])
    previews = options["preview"] and Path(options["preview"])
    further = {key: options[key] for key in ("cache", "metadata", "force", "low_memory")}
    return Output(output, previews, latents, given=given, **further)


def _one(pipeline: "Pipeline", request: Request, place: Output, as_json: bool, report: Reporter) -> None:
    with closing(run_and_save(pipeline, request, place)) as events:
        for event in events:
            report(event)
            if isinstance(event, Done) and not as_json:
                report.clear()
                echo_path(event.path)


def prepare(options: Options, prompt: str | None, pictures: Sequence[str], notes: list[str]) -> tuple[Folder, Request]:
    """The model's folder and the request with defaults filled in and pixels loaded.

    Raises RequestError, NotInstalled, LayoutError, FolderVersionError.
    """
    recorded = _read_recorded(options)
    name = options["model"] or (recorded.model if recorded else None)
    folder = open_folder(library.resolve(name))
    base = _for_model(recorded, folder) if recorded else Request(library.name_of(folder))
    base = _with_pictures(base, options, _choose_pictures(pictures, options, folder), notes)
    if folder.spec.follows or folder.spec.pictures == "depth":
        from app.models import depth  # few models take maps

        base = depth.with_maps(base, folder.spec, notes)
    if options.get("enlarge") and prompt is None:
        from mlx_model.enlarging import find_words

        prompt = find_words(folder.spec)
    own = base.own_words if prompt is None else ""  # another prompt was not written out of those
    words = _prompt(base, prompt, recorded, folder)
    base = dataclasses.replace(base, prompt=words, own_words=own, loras=_loras(base, options))
    return folder, check(dataclasses.replace(base, **_changes(options, folder, recorded)), folder.spec)


def _read_recorded(options: Options) -> Request | None:
    if not options["again"]:
        return None
    return images.read_request(options["again"])


def _for_model(recorded: Request, folder: Folder) -> Request:
    """With another model than the recorded one, its own steps and guidance count."""
    name, seen = library.name_of(folder), recorded.reference_size
    if name != recorded.model:
        seen = seen and choose_reference_size(folder.spec)
        own: Options = dict.fromkeys(("steps", "guidance", "sampler", "step_cache"))
        recorded = dataclasses.replace(recorded, model=name, **own)
    return dataclasses.replace(recorded, reference_size=seen if folder.spec.takes_reference_size else None)


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
        base = dataclasses.replace(base, references=references, mask=None, region=False, ready_made=False)
    elif options["again"]:
        base = inputs.reload(base, Path(options["again"]).absolute(), notes)
    if mask and base.references:
        base = dataclasses.replace(base, mask=inputs.load_mask(mask, inputs.pixels_of(base.references[0])))
    return base


def _loras(base: Request, options: Options) -> tuple[Lora, ...]:
    """Those that are asked for replace the recorded ones."""
    if not options["loras"] and not base.loras:
        return ()
    from app.models import loras  # few runs have one

    if options["loras"]:
        return tuple(inputs.load_lora(text, loras.find) for text in options["loras"] if text != "none")
    return tuple(inputs.reload_lora(lora, Path(options["again"]).absolute(), loras.find) for lora in base.loras)


def _prompt(base: Request, prompt: str | None, recorded: Request | None, folder: Folder) -> str:
    """A recorded prompt has its mentions compiled already."""
    if prompt is None and not recorded and folder.spec.takes_text and folder.spec.needs_prompt:
        raise RequestError("There is no prompt.", "Say what to change with -p PROMPT.")
    if prompt is None and recorded:
        return recorded.prompt
    prompt = unicodedata.normalize("NFC", prompt or "")
    if "@" not in prompt:
        return prompt
    from app.board.mentions import compile_prompt

    return compile_prompt(prompt, [reference.name for reference in base.references], folder.spec.mention)


def _changes(options: Options, folder: Folder, recorded: Request | None) -> Options:
    """What the options say, where they say something."""
    direct = (
        "steps",
        "guidance",
        "negative",
        "strength",
        "dtype",
        "label",
        "sampler",
        "ready_made",
        "enlarge",
        "reference_size",
        "region",
    )
    changes = {key: options[key] for key in (*direct, "reference_size") if options.get(key) is not None}
    if options.get("step_cache") is not None:
        changes["step_cache"] = options["step_cache"] or None
    if recorded is None and (seen := choose_reference_size(folder.spec)):
        changes.setdefault("reference_size", seen)
    if options.get("control") and folder.spec.pictures == "edges":
        changes["ready_made"] = True
    if options.get("outpaint"):
        from mlx_model.geometry import parse_margins

        changes |= {"outpaint": parse_margins(options["outpaint"]), "width": None, "height": None}
    if options["size"]:
        from mlx_model.request import parse_size

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
