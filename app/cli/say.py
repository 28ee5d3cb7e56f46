"""What commands print: results on stdout, everything else on stderr; with --json one event a line on stdout. And what
to do about an error, in the words of the command line.
"""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mlx_model.errors import AdviceCode, Hint

if TYPE_CHECKING:
    from mlx_model.errors import FluxLocalError
    from mlx_model.events import Event, Learned, Stage, Step

WORDS: dict[AdviceCode, str] = {
    "add_a_model": "Add one, for example: flux-local models add {name}",
    "add_depth": (
        "Near is white, far is black. What makes one of a photo is 99 MB: flux-local models add depth-anything-v2-small"
    ),
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
        'An installation with pip has it after: pip install "flux-local-studio[edges]". Or give a ready-made edge map '
        "(--ready-made)."
    ),
    "give_member_a_picture": "Give it one: flux-local board cast.",
    "give_picture": "Give one: flux-local edit PICTURE -p ...",
    "install_part": 'An installation with pip has it after: pip install "flux-local-studio[{name}]"',
    "import_zip": "A zipped board: flux-local board import.",
    "leave_out": "Leave --{setting} out.",
    "log_in": "Open {page}, log in and accept the licence there; then run: hf auth login",
    "log_in_again": (
        "The token on this computer may be too old: run hf auth login. Or: open {page}, log in and accept the licence "
        "there; then run: hf auth login"
    ),
    "log_in_with_rights": (
        "Open {page}, log in and accept the licence there; then run: hf auth login (a fine-grained token needs the "
        "right to read gated repositories)"
    ),
    "look_at_token": "Look at HF_TOKEN, or run: hf auth login",
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
    "write_again": "Your own words stay. Another --seed gives another answer; so does another --writer.",
}


def on_command_line(hint: Hint) -> str:
    """The hint in words."""
    return hint if isinstance(hint, str) else WORDS[hint.code].format(**hint.values)


Command = TypeVar("Command", bound=Callable[..., Any])
JSON = "flux_local.json"
BAR = 24
ERASE = "\r\x1b[K"  # the line
LOSS_EVERY = 50  # steps of training


def json_option(command: Command) -> Command:
    """--json; ctx.meta knows it before any other option is looked at, so that errors honour it."""

    def remember(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
        ctx.meta[JSON] = value
        return value

    text = "One JSON event a line on stdout; logs stay on stderr."
    return click.option("--json", "as_json", is_flag=True, is_eager=True, callback=remember, help=text)(command)


def echo(text: object = "", err: bool = False, lead: str = "", colour: str | None = None) -> None:
    """A line of words, the only way that a command prints any: what a file says never commands the terminal.

    `lead` stands in front in bold. What can't be written on stderr is lost, and the command goes on.
    """
    from app.base.words import show_plainly

    shown = show_plainly(str(text))
    if lead:
        shown = f"{click.style(show_plainly(lead, lines=False), fg=colour, bold=True)}{shown}"
    _write(shown, err)


def echo_path(path: object) -> None:
    """The place of a result on stdout: to another program exactly as it is."""
    _write(str(path), False) if not sys.stdout.isatty() else echo(path)


def _write(text: str, err: bool, end: bool = True) -> None:
    try:
        click.echo(text, err=err, nl=end)
    except OSError:
        if not err:
            raise


def say_event(event: "Event") -> None:
    """One JSON line, at once."""
    sys.stdout.write(event.to_json() + "\n")
    sys.stdout.flush()


def say_json(value: Any) -> None:
    """A whole answer as one JSON line, as events are."""
    import json

    _write(json.dumps(value), False)


class Reporter:
    """Shows events as they come: JSON lines, a moving line on a terminal, or a few plain lines elsewhere."""

    def __init__(self, as_json: bool, terminal: bool | None = None):
        self.as_json = as_json
        self.terminal = sys.stderr.isatty() if terminal is None else terminal
        self.stage, self.drawn, self.percent, self.loss = "", False, 0, ""

    def __call__(self, event: "Event") -> None:
        if self.as_json:
            say_event(event)
            return
        from mlx_model.events import Cancelled, Learned, Note, Stage, Step

        match event:
            case Stage():
                self._show_stage(event)
            case Learned():
                self._show_loss(event)
            case Step():
                self._show_step(event)
            case Note():
                self._line(f"Note: {event.text}")
            case Cancelled():
                self._line("Cancelled")

    def note(self, text: str) -> None:
        """A line for the person, or a Note event."""
        from mlx_model.events import Note

        self(Note(text))

    def _show_stage(self, event: "Stage") -> None:
        from app.base.words import say_stage

        self.stage = say_stage(event.name)
        self._line(f"{self.stage} {event.detail}".rstrip(), moving=self.terminal)

    def _show_loss(self, event: "Learned") -> None:
        """In the moving line, or where nothing moves a line now and then."""
        self.loss = f", loss {event.loss:.4f}"
        if not self.terminal and event.step % LOSS_EVERY == 0:
            self._line(f"Step {event.step}{self.loss}")

    def _show_step(self, event: "Step") -> None:
        if self.terminal:
            from app.base.words import say_left

            filled = BAR * event.step // max(1, event.total)
            bar = "#" * filled + "-" * (BAR - filled)
            far = f"{self.stage} [{bar}] {event.step}/{event.total}{self.loss}"
            self._line(", ".join(part for part in (far, say_left(event.left)) if part), moving=True)

    def _line(self, text: str, moving: bool = False) -> None:
        from app.base.words import show_plainly

        start = ERASE if self.drawn else ""
        _write(start + show_plainly(text, lines=False), True, end=not moving)
        self.drawn = moving

    def say_failure(self, error: "FluxLocalError", where: str = "") -> None:
        """A failure that does not end the command."""
        from mlx_model.events import Failed

        hint = on_command_line(error.hint)
        self.clear()
        if self.as_json:
            say_event(Failed.of(error, hint))
        else:
            echo(f"{f'{where}: ' if where else ''}{error.message} {hint}".rstrip(), err=True)

    def share(self, began: float, done: float) -> None:
        """A step of work that knows no steps: `done` of 1 since `began` (monotonic seconds)."""
        from mlx_model.events import Step

        percent, seconds = int(100 * done), time.monotonic() - began
        if percent > self.percent:
            self.percent = percent
            self(Step(percent, 100, round(seconds, 2), round(seconds * (1 - done) / done, 2)))

    def clear(self) -> None:
        """Take the moving line away before something else is printed."""
        if self.drawn:
            _write(ERASE, True, end=False)
        self.drawn = False
