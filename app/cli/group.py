"""The command group: commands are imported when they run, and every error becomes a message and an exit code."""

import contextlib
import errno
import importlib
import traceback
from typing import TYPE_CHECKING, Any

import click

from .say import JSON, echo, say_event

if TYPE_CHECKING:
    from mlx_model.errors import FluxLocalError
    from mlx_model.events import Event

# name -> (module in app.cli, one line). The line stands here so that --help imports nothing else.
COMMANDS = {
    "generate": ("generate", "Make a picture from a description."),
    "edit": ("edit", "Change a picture by instruction, with others as references."),
    "enlarge": ("enlarge", "Make a picture twice or four times as wide and as high."),
    "depth": ("depth", "Make a depth map of a photo."),
    "write": ("write", "Write a few words out into the description that a model wants."),
    "board": ("board.commands", "Make, render and share storyboards."),
    "models": ("models", "List, add, check and remove models."),
    "lora": ("lora", "List, add and remove LoRAs that --lora finds by name."),
    "train": ("train", "Teach a model from pictures of your own."),
    "convert": ("convert", "Turn a downloaded checkpoint into a model that Flux Local opens."),
    "bench": ("bench", "Measure how fast a model runs on this machine."),
    "serve": ("serve", "Answer programs that speak OpenAI's images API, on this machine alone."),
    "mcp": ("serve", "Give programs that speak MCP tools to make pictures."),
    "doctor": ("doctor", "Say what this machine can do, what is wrong and how to mend it."),
}
HIDDEN = {"worker": "worker", "window": "window", "train character": "train", "train clips": "train"}


# What click calls numbers where one is asked for and another thing is given: not everybody programs.
click.types.FloatParamType.name = click.types.FloatRange.name = "number"
click.types.IntParamType.name = click.types.IntRange.name = "whole number"


class LazyGroup(click.Group):
    """Imports app.cli.<module> for the command that is asked for, and none for --help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        file = COMMANDS[cmd_name][0] if cmd_name in COMMANDS else HIDDEN.get(cmd_name)
        return getattr(importlib.import_module(f"app.cli.{file}"), cmd_name.split()[-1]) if file else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The path of a board, as a desktop gives it for a double click, opens it; `train character` is one command."""
        if (joined := " ".join(args[:2])) in HIDDEN:
            args = [joined, *args[2:]]
        from app.base.paths import SUFFIX

        if args[0].rstrip("/").casefold().endswith((SUFFIX, f"{SUFFIX}.zip")):
            args = ["window", *args]
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        ctx.meta[JSON] = "--json" in ctx.args  # for errors before the command has looked at its options
        try:
            _remove_left()
            return super().invoke(ctx)
        except click.UsageError as error:
            from app.base.words import show_plainly

            if ctx.meta.get(JSON):
                from mlx_model.events import Failed

                _say_event(Failed("UsageError", error.format_message(), "See --help."))
            raise click.UsageError(show_plainly(error.format_message()), error.ctx) from error
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt as end:
            _say_cancelled(ctx, str(end))
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # a closed pipe is click's business
            from app.base import faults

            told = faults.tell(error)
            _fail(ctx, told) if told else _report_fault(ctx, error)


def _remove_left() -> None:
    """What runs that were killed have left goes now, and what this one begins is noted."""
    from app.base import paths
    from mlx_model import files

    if files.keep_notes(paths.home() / "unfinished"):
        from mlx_model.unfinished import remove_left

        remove_left(paths.home() / "unfinished")


def _say_event(event: "Event") -> None:
    with contextlib.suppress(OSError):  # stdout is full or gone
        say_event(event)


def _fail(ctx: click.Context, error: "FluxLocalError") -> None:
    from .say import on_command_line

    hint = on_command_line(error.hint)
    if ctx.meta.get(JSON):
        from mlx_model.events import Failed

        _say_event(Failed.of(error, hint))
    # Further lines are set in, so that none of a stranger's words passes for one of ours.
    message = "\n  ".join(error.message.splitlines())
    echo(f" {message}", err=True, lead="Error:", colour="red")
    if hint:
        echo(hint, err=True)
    ctx.exit(error.exit_code)


def _say_cancelled(ctx: click.Context, why: str) -> None:
    """`why`: "" where a person did."""
    if ctx.meta.get(JSON):
        from mlx_model.events import Cancelled

        _say_event(Cancelled(why or "interrupted"))
    echo(why or "Cancelled", err=True)
    ctx.exit(130)


def _report_fault(ctx: click.Context, error: Exception) -> None:
    """A fault of ours: the traceback is what a report of it needs."""
    hint = "This is a fault in Flux Local. Please report it with the lines above."
    if ctx.meta.get(JSON):
        from mlx_model.events import Failed

        _say_event(Failed(type(error).__name__, str(error), hint))
    lines = "".join(traceback.format_exception(error))
    echo(f"{lines}Error: {type(error).__name__}: {error}\n{hint}", err=True)
    ctx.exit(5)


@click.group(cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="flux-local-studio", prog_name="flux-local")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Runs FLUX image models on your own machine, offline. Without a command it opens the app's window, with the path
    of a board (film.fluxboard) it opens that.

    \b
    Example:
      flux-local generate "a lighthouse at dawn, watercolour" -o dawn.png
      flux-local edit dawn.png -p "make it night" -o night.png
    """
    if ctx.invoked_subcommand is None:
        from .window import open_window

        ctx.exit(open_window())
