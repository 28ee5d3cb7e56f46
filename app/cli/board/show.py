"""board show, list and check."""

from typing import Any

import msgspec

from app.base.words import say_count
from app.board import naming
from app.board.data import Board, Panel, Take, numbers
from app.board.mentions import compile_prompt
from app.board.seen import names, see
from app.fluxboard.check import problems
from app.fluxboard.file import BoardFile
from mlx_model.errors import BoardError, RequestError

from ..say import Reporter, echo, on_command_line, say_json
from .edit import add_ending, open_board

WIDTH = 80


def show_board(path: str, which: str | None, as_json: bool) -> None:
    """board show"""
    with open_board(path, write=False, report=Reporter(as_json)) as file:
        if as_json:
            chosen = file.board if which is None else naming.one(file.board, which)
            say_json({**_plain(file, chosen), "path": str(file.path)})
            return
        lines = _board(file) if which is None else _panel(file, naming.one(file.board, which))
        echo("\n".join(lines))


def _plain(file: BoardFile, item: Board | Panel) -> dict[str, Any]:
    """The file's own data, each panel with its number."""
    plain: dict[str, Any] = msgspec.to_builtins(item)
    label = numbers(file.board)
    for panel in [plain] if isinstance(item, Panel) else [p for s in plain["scenes"] for p in s["panels"]]:
        panel["number"] = label[panel["id"]]
    return plain


def list_panels(path: str, panels: str | None, as_json: bool) -> None:
    """board list"""
    with open_board(path, write=False, report=Reporter(as_json)) as file:
        label, ids = numbers(file.board), naming.select(file.board, panels)
        chosen = [file.board.panel(panel_id) for panel_id in ids]
        if as_json:
            say_json({"panels": [_row(file, panel, label[panel.id]) for panel in chosen]})
            return
        for panel in chosen:
            echo(_line(label[panel.id], panel))


def _row(file: BoardFile, panel: Panel, number: str) -> dict[str, Any]:
    picture = str(file.picture_path(panel.take.picture.sha256)) if panel.take else None
    own = {"own_words": panel.own_words} if panel.written_out else {}
    return {"number": number, "prompt": panel.words, **own, "takes": len(panel.takes), "picture": picture}


def _line(number: str, panel: Panel) -> str:
    takes = say_count(len(panel.takes), "take")
    one, text = panel.written_out, panel.words or panel.caption
    text = " ".join((f"“{one.own.strip()}”, written out: {text}" if one else text).split())
    return f"{number:5} {takes:9} {text if len(text) <= WIDTH else text[: WIDTH - 1] + '…'}".rstrip()


def _board(file: BoardFile) -> list[str]:
    board, label = file.board, numbers(file.board)
    shape = ":".join(map(str, board.aspect))
    lines = [board.title, f"{shape}, {board.fps:g} fps, model: {board.model or 'the default one'}"]
    lines += [f"Style: {board.style}"] if board.style else []
    lines += [f"@{m.name}  {m.role}, pictures: {len(m.pictures)}" for m in board.cast]
    for place, scene in enumerate(board.scenes, 1):
        lines += ["", f"Scene {place} {scene.heading}".rstrip()]
        lines += [_line(label[panel.id], panel) for panel in scene.panels]
    points = file.restore_points()
    return [*lines, "", say_count(len(points), "restore point")] if points else lines


def _panel(file: BoardFile, panel: Panel) -> list[str]:
    board = file.board
    lines = [f"Panel {numbers(board)[panel.id]}", f"Prompt: {panel.prompt}"]
    for field in ("instruction", "action", "dialogue", "notes"):
        lines += [f"{field.capitalize()}: {getattr(panel, field)}"] if getattr(panel, field) else []
    for one in panel.written:
        used = "" if one == panel.written_out else ", not used"
        lines.append(f"Written out of “{one.own.strip()}”{used}: {one.text}")
    camera = [text for text in (panel.camera.shot, panel.camera.angle, panel.camera.move) if text]
    lines += [f"Camera: {', '.join(camera)}"] if camera else []
    lines.append(f"Seconds: {panel.seconds:g}")
    shown = see(board, panel)
    lines += [f"Image {n}: {one.name or one.kind} {one.role}".rstrip() for n, one in enumerate(shown, 1)]
    lines.append(f"The model reads: {_compile(panel, names(shown))}")
    for take in panel.takes:
        mark = "*" if take.id == panel.current else " "
        lines.append(f"{mark} take {take.number}: {take.model}, seed {take.seed}, {take.made}  {_find(file, take)}")
    return lines


def _find(file: BoardFile, take: Take) -> str:
    try:
        return str(file.picture_path(take.picture.sha256))
    except BoardError:
        return "its picture is missing"


def _compile(panel: Panel, called: list[str]) -> str:
    try:
        return compile_prompt(panel.words, called)
    except RequestError as error:
        return f"({error})"


def check_file(path: str, model: str | None, as_json: bool) -> None:
    """board check. Raises BoardError where something is wrong, after all of it was said."""
    with BoardFile.open(add_ending(path), write=False) as file:
        found = problems(file, model)
    said = [{**problem._asdict(), "hint": on_command_line(problem.hint)} for problem in found]
    if as_json:
        say_json({"problems": said})
    for problem in [] if as_json else said:
        echo(f"{problem['where'] or 'board'}: {problem['what']} {problem['hint']}".rstrip())
    if found:
        raise BoardError(f"{say_count(len(found), 'problem')} found.")
    if not as_json:
        echo("Nothing is wrong.")
