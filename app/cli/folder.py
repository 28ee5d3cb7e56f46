"""`models add --from`: what a folder of another program holds for which model, and a model made from it."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from mlx_model.errors import Advice, ConvertError
from mlx_model.files import use_scratch_folder
from mlx_model.memory import say_bytes
from mlx_model.specs import SPECS, ModelSpec

from .say import Reporter, echo, say_json

if TYPE_CHECKING:
    from converters.gather import Gathered
    from converters.prepare import Ready
    from converters.survey import Survey

SHOWN = 8  # files of a kind in a line
DISK = 400e6  # bytes a second that a disk is taken to read and write at


def tell_folder(place: Path, as_json: bool) -> None:
    """Say what `place` holds for every model. Raises RequestError, ConvertError."""
    from converters.gather import describe_model, gather

    found = look(place, Reporter(as_json))
    models = [gather(spec, found) for spec in SPECS.values() if spec.repo]
    if as_json:
        say_json({
            "places": [str(one) for one in found.places],
            "models": [describe_model(made) for made in models if made.chosen],
            "loras": [{"file": str(file), "models": list(fits)} for file, fits in found.adapters.items()],
            "problems": found.problems,
            "others": found.others,
        })  # fmt: skip
        return
    echo("\n".join(_list_lines(place, found, models)))


def look(place: Path, report: Reporter, *more: Path) -> "Survey":
    """Survey a folder, or a file and the folder around it, of which the file's transformer counts alone."""
    from converters.survey import survey
    from mlx_model.events import Stage

    report(Stage("look", str(place)))
    around = () if not place.is_file() else (_find_around(place),)
    found = survey(place, *around, *more)
    report.clear()
    if place.is_file():
        for role in ("transformer", "image_embedder"):
            if any(one.part.layout.role == role and place in one.part.files for one in found.parts):
                kept = (one for one in found.parts if one.part.layout.role != role or place in one.part.files)
                found.parts = list(kept)
    return found


def _find_around(file: Path) -> Path:
    """ComfyUI's models where the file lies in them, else its folder."""
    above = (folder for folder in file.absolute().parents if folder.name.lower() == "models")
    return next(above, file.absolute().parent)


def _list_lines(place: Path, found: "Survey", models: list["Gathered"]) -> list[str]:
    from app.base.words import say_count

    there = [made for made in models if "transformer" in made.chosen]
    others = f"; {say_count(found.others, 'file')} of other models" if found.others else ""
    lines = [f"{place}: {say_count(len(found.parts), 'part')} of models that Flux Local runs{others}.", ""]
    for made in there:
        lines += [*describe_lines(made, place), ""]
    if not there:
        lines += ["None of them is a transformer, the network that makes a model what it is.", ""]
        lines += [
            f"  {_say_role(one.part.layout.role)}: {_shorten(one.place, place)} ({one.form})" for one in found.parts
        ]
    if found.adapters:
        lines.append("LoRAs, which --lora takes as they are:")
        for file, fits in list(found.adapters.items())[:SHOWN]:
            lines.append(f"  {_shorten(file, place)}, for {', '.join(fits)}")
        if len(found.adapters) > SHOWN:
            lines.append(f"  and {len(found.adapters) - SHOWN} more (--json names them all)")
    lines += [f"Can't be used: {text}" for text in found.problems]
    return lines


def describe_lines(made: "Gathered", place: Path) -> list[str]:
    """One model for a person."""
    from converters.gather import say_missing

    state = "everything is here" if not made.missing else f"{' and '.join(map(_say_role, made.missing))} missing"
    lines = [f"{made.spec.title} ({made.spec.name}): {state}"]
    for role, one in made.chosen.items():
        why = f" ({made.reasons[role]})" if made.reasons[role] else ""
        lines.append(f"  {_say_role(role)}: {_shorten(one.place, place)}, {one.form}, {say_bytes(one.bytes)}{why}")
    for role, folder in (("tokenizer", made.tokenizers.text), ("pooled tokenizer", made.tokenizers.pooled)):
        lines += [f"  {role}: {'inside ' if folder.is_file() else ''}{_shorten(folder, place)}"] if folder else []
    lines += [f"  missing {_say_role(role)}: {say_missing(made, role)}" for role in made.missing]
    if not made.certain:
        lines.append("  Nothing but a name tells this transformer from others of its size, and its name does not.")
    rest = " --download-missing" if made.missing else ""
    return [*lines, f"  flux-local models add {made.spec.name} --from {_quote(place)}{rest}"]


def _shorten(file: Path, place: Path) -> Path:
    """As seen from the folder that was given."""
    return file.relative_to(place) if file.is_relative_to(place) and file != place else file


def _quote(place: Path) -> str:
    import shlex

    return shlex.quote(str(place))


def _say_role(role: str) -> str:
    return role.replace("_", " ")


def gather_model(spec: ModelSpec, place: Path, report: Reporter, *more: Path) -> "Gathered":
    """What `place` and `more` hold for `spec`, told part by part."""
    from converters.gather import gather

    made = gather(spec, look(place, report, *more))
    for role, one in made.chosen.items():
        why = f"; {made.reasons[role]}" if made.reasons[role] else ""
        report.note(f"{_say_role(role)}: {_shorten(one.place, place)}, {one.form}{why}")
    if not made.certain:
        name = made.chosen["transformer"].place.name
        report.note(f"Nothing but a name tells {name} from other models of its size: taken as {spec.title}, as asked.")
    return made


def require_whole(made: "Gathered", place: Path, asked: bool = False) -> None:
    """Raises ConvertError where something is missing, with where it is published; `asked`: it should be fetched."""
    from converters.gather import say_missing

    if made.missing:
        lacks = "; ".join(f"{_say_role(role)}: {say_missing(made, role)}" for role in made.missing)
        raise ConvertError(f"{place} lacks for {made.spec.title}: {lacks}.", "" if asked else Advice("bring_missing"))


def tell_plan(made: "Gathered", place: Path, bits: int, as_json: bool) -> None:
    """What adding would read, write and take. Raises what the conversion would. Writes nothing that stays."""
    from converters.prepare import Settings, prepare
    from converters.quantize import choose_plan

    with use_scratch_folder() as scratch:
        settings = Settings(choose_plan(bits, None), (), scratch)
        prepared = prepare(made.make_source(place), made.spec.name, settings)
        ready = prepared.ready
        read, write = sum(one.bytes for one in made.chosen.values()), sum(part.bytes for part in ready)
        seconds = estimate_seconds(ready, bits, read + write)
    if as_json:
        say_json({"model": made.spec.name, "read_bytes": read, "write_bytes": write, "seconds": round(seconds)})
        return
    from app.base.words import say_duration

    echo(f"{made.spec.title} at {bits} bits: reads {say_bytes(read)}, writes {say_bytes(write)}.")
    echo(f"Takes about {say_duration(seconds)}, estimated from a trial on this machine. Nothing was written.")


def estimate_seconds(ready: list["Ready"], bits: int, moved: int) -> float:
    """Of packing, by a matrix that is packed here for a trial, and of moving `moved` bytes."""
    import mlx.core as mx

    from converters.quantize import STARTS, PackedArray, pack

    count = sum(one.shape[0] * one.shape[1] * 32 // bits for part in ready for one in part.arrays.values()
                if isinstance(one, PackedArray) and one.dtype == mx.uint32)  # fmt: skip
    if bits not in STARTS or not count:
        return moved / DISK
    trial = mx.random.normal((256, 4096))
    mx.eval(trial)
    start = time.monotonic()
    pack(trial, bits, 64, False, mx.bfloat16)
    return moved / DISK + (time.monotonic() - start) * count / trial.size
