"""board new, add, set and cast: from options to the commands that the window uses."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from app.base.paths import SUFFIX
from app.board import commands, naming
from app.board.data import (
    ASPECTS,
    Board,
    Member,
    Panel,
    PanelReference,
    Scene,
    Source,
    free_colour,
    free_name,
    new_id,
    numbers,
)
from app.board.drafts import use_written
from app.fluxboard.file import BoardFile
from app.models import library
from app.pictures import images
from mlx_model.errors import BoardError, NotInstalled, RequestError
from mlx_model.geometry import Size

from ..say import Reporter, echo, echo_path, on_command_line, say_json

Options = dict[str, Any]


def open_board(path: str, write: bool = True, report: Reporter | None = None) -> BoardFile:
    """The package, its ending added where it is missing; what had to be recovered is said. Raises BoardError."""
    file = BoardFile.open(add_ending(path), write)
    for text in filter(None, [file.recovered, *file.repairs]):
        (report or Reporter(False)).note(text)
    return file


def add_ending(path: str) -> Path:
    """The path of a package, its ending added where nothing is there without it."""
    given = Path(path).expanduser()
    return given if given.exists() or given.suffix.lower() == SUFFIX else given.with_name(given.name + SUFFIX)


def new_place(path: str) -> Path:
    """Where a board may be made. Raises RequestError for what is no name: `board new .` would be made outside."""
    place = Path(path).expanduser()
    if place.name in ("", ".."):
        raise RequestError(f"{path} is no name for a board.", "Say for example day.fluxboard.")
    return place


def new_board_file(path: str, options: Options, as_json: bool) -> None:
    """board new"""
    target = new_place(path)
    given = {key: value for key, value in options.items() if value is not None}
    if given.get("model"):
        check_model(given["model"])
    given["title"] = given.get("title") or target.name.removesuffix(SUFFIX)
    shape = given.get("aspect")
    given["aspect"] = parse_aspect(shape) if shape else library.choose_aspect(given.get("model"))
    board = commands.set_board(Board(new_id(), scenes=(Scene(new_id()),)), **given)
    with BoardFile.create(target, board) as file:
        say_json({"board": str(file.path)}) if as_json else echo_path(file.path)


def parse_aspect(text: str) -> tuple[int, int]:
    """16:9 or 2.39:1 as whole numbers. Raises RequestError."""
    if text in ASPECTS:
        return ASPECTS[text]
    try:
        across, down = (round(float(side) * 100) for side in text.split(":"))
    except (ValueError, OverflowError) as error:
        raise RequestError(f"{text!r} is not a shape.", f"Say one of {', '.join(ASPECTS)} or another W:H.") from error
    if not 0 < min(across, down) <= max(across, down) <= 8 * min(across, down):
        raise RequestError(f"{text} is too long and thin.", "Shapes go from 8:1 to 1:8.")
    common = math.gcd(across, down)
    return across // common, down // common


def add_panels(path: str, prompts: Sequence[str], options: Options, as_json: bool) -> None:
    """board add"""
    with open_board(path) as file:
        board, added = file.board, []
        if options["new_scene"] is not None or not board.scenes:
            board = commands.add_scene(board, heading=options["new_scene"] or "")
        scene_id = naming.scene(board, None if options["new_scene"] is not None else options["scene"]).id
        references = _pictures(file, options["reference"])
        for prompt in prompts or ("",):
            panel = _change_panel(board, Panel(new_id()), {**options, "prompt": prompt})
            board = commands.add_panel(board, scene_id, panel=panel)
            board = _add_references(board, panel.id, references, options["cast"])
            added.append(panel.id)
        file.save(board)
    _say_numbers(board, added, as_json)


def set_panel(path: str, which: str, options: Options, as_json: bool) -> None:
    """board set"""
    with open_board(path) as file:
        board = file.board
        before = naming.one(board, which)
        after = _change_panel(board, before, options)
        fields = set(after.__struct_fields__) - {"id", "takes", "current", "mask"}
        board = commands.set_panel(board, before.id, **{key: getattr(after, key) for key in fields})
        board = _add_references(board, before.id, _pictures(file, options["reference"]), options["cast"])
        if options["written"] is not None:
            board = use_written(board, before.id, options["written"])
        if options["take"] is not None:
            board = commands.choose_take(board, before.id, _take(before, options["take"]))
        file.save(board)
    _say_numbers(board, [before.id], as_json)
    if before.written_out and not board.panel(before.id).written_out and options["written"] is None:
        Reporter(as_json).note("The panel is made by its own words now: what was written out is of other words.")


def remove_panels(path: str, which: str, as_json: bool) -> None:
    """board remove"""
    with open_board(path) as file:
        ids = naming.select(file.board, which)
        label = numbers(file.board)
        file.save(commands.remove_panels(file.board, ids), point=True)
    _say_labels([label[panel_id] for panel_id in ids], as_json)


def move_panels(path: str, which: str, options: Options, as_json: bool) -> None:
    """board move"""
    with open_board(path) as file:
        board, ids = file.board, naming.select(file.board, which)
        scene, at = naming.scene(board, options["scene"]), None
        if options["before"]:
            after = naming.one(board, options["before"]).id
            if after in ids:
                raise BoardError(f"{options['before']} is one of those that are moved.", "Name another panel.")
            scene = next(one for one in board.scenes if after in [panel.id for panel in one.panels])
            at = [panel.id for panel in scene.panels if panel.id not in ids].index(after)
        board = commands.move_panels(board, ids, scene.id, at)
        file.save(board)
    _say_numbers(board, ids, as_json)


def _take(panel: Panel, number: int) -> str:
    found = next((take.id for take in panel.takes if take.number == number), None)
    if found is None:
        have = ", ".join(str(take.number) for take in panel.takes) or "none"
        raise BoardError(f"There is no take {number}: the panel has {have}.")
    return found


def _change_panel(board: Board, panel: Panel, options: Options) -> Panel:
    """The panel with what the options say, where they say something."""
    for key in ("seconds", "strength", "guidance"):
        if options[key] is not None and not math.isfinite(options[key]):
            raise RequestError(f"--{key} {options[key]} is no number.", "Say for example 2.5.")
    direct = ("action", "dialogue", "notes", "seconds")
    changes = {key: options[key] for key in direct if options.get(key) is not None}
    camera = {key: options[key] for key in ("shot", "angle", "move") if options[key] is not None}
    own = ("model", "steps", "guidance", "strength", "region")
    settings = {key: options[key] for key in own if options[key] is not None}
    if options["step_cache"] is not None:
        settings["step_cache"] = options["step_cache"] or None
    if options["model"] is not None:
        check_model(options["model"])
    if options["size"]:
        settings["width"], settings["height"] = _parse_sides(options["size"])
    if options["seed"] is not None:
        changes |= {"seed": options["seed"], "seed_locked": True}
    if options["source"] is not None:
        changes["source"] = _source(board, panel, options["source"])
    changes |= {"camera": replace(panel.camera, **camera), "settings": replace(panel.settings, **settings)}
    return _say_words(replace(panel, **changes), options)


def _say_words(panel: Panel, options: Options) -> Panel:
    """The prompt is the instruction of a panel that starts from a picture: its description stays what it is."""
    words = {} if options.get("prompt") is None else {panel.words_field: options["prompt"]}
    if options["description"] is not None:
        words["prompt"] = options["description"]
    return replace(panel, **words)


def check_model(name: str) -> None:
    """Raises RequestError for a name that no model has; one that is only not installed yet may be set, with a word."""
    try:
        library.resolve(name)
    except NotInstalled as error:
        echo(f"Note: {error.message} {on_command_line(error.hint)}", err=True)


def _source(board: Board, panel: Panel, text: str) -> Source:
    """`none` or the number of a panel; its own number is its own take."""
    if text.casefold() == "none":
        return Source()
    other = naming.one(board, text)
    return Source("take") if other.id == panel.id else Source("panel", other.id)


def _parse_sides(text: str) -> Size:
    from mlx_model.request import SIDES

    sides = SIDES.fullmatch(text.strip())
    if sides is None:
        raise RequestError(f"{text!r} is not a size in pixels.", "Say it as 1024x768; board new --aspect has shapes.")
    return Size(int(sides[1]), int(sides[2]))


def _pictures(file: BoardFile, paths: Sequence[str]) -> list:
    """The pictures of files, kept in the package as they are. Raises RequestError."""
    notes: list[str] = []
    opened = [(images.inspect(path, notes), Path(path).name) for path in paths]  # all, before one is kept
    for note in notes:
        Reporter(False).note(note)
    return [file.put_picture(given, name) for given, name in opened]


def _add_references(board: Board, panel_id: str, references: list, cast: Sequence[str]) -> Board:
    for picture in references:
        panel = board.panel(panel_id)
        colour = free_colour(reference.colour for reference in panel.references)
        reference = PanelReference(new_id(), picture, name=Path(picture.name).stem, colour=colour)
        board = commands.add_reference(board, panel_id, reference)
    for name in cast:
        member = find_member(board, name)
        reference = commands.member_reference(member)
        board = commands.add_reference(board, panel_id, reference)
    return board


def find_member(board: Board, name: str) -> Member:
    """The member called `name`, with or without the @, in any case. Raises BoardError."""
    wanted = name.removeprefix("@").casefold()
    for member in board.cast:
        if member.name.casefold() == wanted:
            return member
    have = ", ".join(member.name for member in board.cast) or "nobody yet"
    raise BoardError(f"There is no {name} in the cast.", f"There is {have}.")


def change_cast(path: str, name: str | None, paths: Sequence[str], options: Options, as_json: bool) -> None:
    """board cast"""
    if name is None:
        with open_board(path, write=False) as file:
            _say_cast(file.board, as_json)
        return
    with open_board(path) as file:
        pictures = _pictures(file, paths)
        known = {member.name.casefold() for member in file.board.cast}
        if options["remove"]:
            board = commands.remove_member(file.board, find_member(file.board, name).id)
        elif name.removeprefix("@").casefold() in known:
            board = _change_member(file.board, find_member(file.board, name), pictures, options)
        else:
            board = _new_member(file.board, name.removeprefix("@"), pictures, options)
        file.save(board)
    _say_cast(board, as_json)


def _new_member(board: Board, name: str, pictures: list, options: Options) -> Board:
    taken = [member.name for member in board.cast]
    if options["rename"] or free_name(name, taken) != name:
        raise BoardError(f"{name!r} can't be a name.", f"One word, for example {free_name(name, taken)}.")
    given = {key: options[key] for key in ("role", "notes") if options[key] is not None}
    colour = free_colour(member.colour for member in board.cast)
    member = Member(new_id(), name, colour=colour, pictures=tuple(pictures), **given)
    return commands.add_member(board, member)


def _change_member(board: Board, member: Member, pictures: list, options: Options) -> Board:
    changes = {key: options[key] for key in ("role", "notes") if options[key] is not None}
    if options["rename"]:
        changes["name"] = options["rename"].removeprefix("@")
    if pictures:
        changes["pictures"] = (*member.pictures, *(one for one in pictures if one not in member.pictures))
    return commands.set_member(board, member.id, **changes)


def _say_numbers(board: Board, ids: list[str], as_json: bool) -> None:
    label = numbers(board)
    _say_labels([label[panel_id] for panel_id in ids], as_json)


def _say_labels(labels: list[str], as_json: bool) -> None:
    say_json({"panels": labels}) if as_json else echo("\n".join(labels))


def _say_cast(board: Board, as_json: bool) -> None:
    if as_json:
        say_json({"cast": [{"name": m.name, "role": m.role, "pictures": len(m.pictures)} for m in board.cast]})
        return
    for member in board.cast:
        echo(f"@{member.name}  {member.role}, pictures: {len(member.pictures)}")
