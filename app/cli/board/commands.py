"""flux-local board ...: the storyboard without a window."""

from typing import Any

import click

from app.board.camera import SHOTS
from app.board.data import ROLES

from ..options import FILE, Number, cache_option, low_memory_option, region_option, step_cache_option
from ..say import JSON, Command, json_option


def board_argument(command: Command) -> Command:
    """The board that every command is about."""
    return click.argument("board", type=FILE)(command)


def panels_option(command: Command) -> Command:
    """--panels"""
    text = "Such as 1A, 2A-2C or, counted through the board, 3-7."
    return click.option("--panels", metavar="RANGE", help=text)(command)


@click.group()
def board() -> None:
    """Make, render and share storyboards.

    A board is a folder NAME.fluxboard that the window opens too, with all its takes.

    \b
    Example:
      flux-local board new gull.fluxboard --title "The gull" --aspect 16:9
      flux-local board cast gull.fluxboard gull gull.png
      flux-local board add gull.fluxboard "@gull in a bar"
      flux-local board render gull.fluxboard
      flux-local board export gull.fluxboard -o gull.pdf
    """


def _read_rate(ctx: click.Context, parameter: click.Parameter, value: float | None) -> int | float | None:
    from app.board.rate import choose_rate

    return None if value is None else choose_rate(value)


def _board_options(command: Command) -> Command:
    option: Any = click.option
    for add in (
        option("--model", metavar="MODEL", help="The model that renders it; the default model if not given."),
        option("--style", metavar="TEXT", help="Added to the prompt of every panel."),
        option(
            "--fps",
            type=Number(1, 240),
            callback=_read_rate,
            metavar="RATE",
            help="Frames a second: 24, 25, 23.976, 29.97.",
        ),
        option(
            "--aspect",
            metavar="W:H",
            help="16:9, 2.39:1, 1.85:1, 4:3, 1:1, 9:16 or any other; as the model knows it if not given.",
        ),
        option("--title", metavar="TEXT", help="The name of the file if not given."),
    ):
        command = add(command)
    return command


@board.command()
@board_argument
@_board_options
@json_option
def new(board: str, as_json: bool, **options: Any) -> None:
    """Make a board without panels.

    \b
    Example:
      flux-local board new gull.fluxboard --title "The gull" --aspect 2.39:1 --style "ink and wash"
    """
    from .edit import new_board_file

    new_board_file(board, options, as_json)


def _panel_options(command: Command) -> Command:
    option: Any = click.option
    for add in (
        option("--seed", type=click.IntRange(min=0), help="Lock the seed."),
        option("--size", metavar="WxH", help="In pixels, instead of the board's shape."),
        option("--strength", type=float, metavar="S", help="With --from: near 0 keeps the take, 1 repaints."),
        option("--guidance", type=float, metavar="G", help="How closely to follow the prompt."),
        option("--steps", type=int, metavar="N", help="Sampling steps."),
        step_cache_option(),
        region_option(),
        option("--model", metavar="MODEL", help="Another model than the board's."),
        option("--seconds", type=float, metavar="T", help="How long it stands in the animatic."),
        option("--move", metavar="TEXT", help="Camera move, such as pan or push in."),
        option("--angle", metavar="TEXT", help="Camera angle, such as low or overhead."),
        option("--shot", metavar="TEXT", help=f"Shot size: {', '.join(SHOTS)}."),
        option("--notes", metavar="TEXT", help="Notes."),
        option("--dialogue", metavar="TEXT", help="What is said."),
        option("--action", metavar="TEXT", help="What happens."),
        option("--from", "source", metavar="PANEL", help="Start from that panel's take; the prompt is an instruction."),
        option("--description", metavar="TEXT", help="What is seen, where the prompt is an instruction."),
        option(
            "--cast", multiple=True, metavar="NAME", help="A cast member as reference; a mention @NAME does it too."
        ),
        option("-r", "--reference", multiple=True, type=FILE, metavar="IMAGE", help="A picture as reference."),
    ):
        command = add(command)
    return command


@board.command()
@board_argument
@click.argument("prompt", nargs=-1)
@click.option("--scene", metavar="N", help="Number of the scene; the last one if not given.")
@click.option("--new-scene", metavar="HEADING", help="Begin a scene with this heading.")
@_panel_options
@json_option
def add(board: str, prompt: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Add a panel for each PROMPT, with the same options; their numbers are printed.

    \b
    Example:
      flux-local board add gull.fluxboard "@gull in a bar" "@gull orders a drink" --shot MS --seconds 3
      flux-local board add gull.fluxboard "it is night now" --from 1A
    """
    from .edit import add_panels

    add_panels(board, prompt, options, as_json)


@board.command("set")
@board_argument
@click.argument("panel")
@click.option(
    "-p", "--prompt", metavar="TEXT", help="Another description; where it starts from a picture, another instruction."
)
@click.option("--take", type=click.IntRange(min=1), metavar="N", help="Make the panel's take N the current one.")
@click.option(
    "--written/--own-words", default=None, help="Make pictures by what `board write` made of its words, or by these."
)
@_panel_options
@json_option
def set_(board: str, panel: str, as_json: bool, **options: Any) -> None:
    """Change a PANEL; references are added to those that are there.

    \b
    Example:
      flux-local board set gull.fluxboard 1B --prompt "@gull orders tea" --take 2
    """
    from .edit import set_panel

    set_panel(board, panel, options, as_json)


@board.command()
@board_argument
@click.argument("panels")
@json_option
def remove(board: str, panels: str, as_json: bool) -> None:
    """Take PANELS out of the board, with their takes; a restore point keeps the board as it was.

    \b
    Example:
      flux-local board remove gull.fluxboard 1B-1C
    """
    from .edit import remove_panels

    remove_panels(board, panels, as_json)


@board.command()
@board_argument
@click.argument("panels")
@click.option("--before", metavar="PANEL", help="They stand before that panel then.")
@click.option("--scene", metavar="N", help="To the end of the scene of that number; the last one if not given.")
@json_option
def move(board: str, panels: str, as_json: bool, **options: Any) -> None:
    """Move PANELS to another place; their new numbers are printed.

    \b
    Example:
      flux-local board move gull.fluxboard 2A --before 1B
    """
    from .edit import move_panels

    move_panels(board, panels, options, as_json)


@board.command("write")
@board_argument
@click.argument("panels", required=False)
@click.option("--scene", metavar="N", help="The scene of that number; the last one if not given.")
@click.option("-w", "--writer", type=FILE, metavar="NAME|FOLDER", help="See `flux-local write`.")
@click.option("-m", "--model", metavar="MODEL", help="What the words are for; the board's model if not given.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="S", help="Another seed, other words.")
@json_option
def write_panels(board: str, panels: str | None, as_json: bool, **options: Any) -> None:
    """Write PANELS, or those of a scene that say little yet, out into descriptions that fit each other.

    It stands beside a panel's own words and is used in their place: `board set BOARD PANEL --own-words` goes back to
    them, and so do other words. Mentions of the cast stay; a text that loses one is not used, and the exit code is 2.

    \b
    Example:
      flux-local board write gull.fluxboard --scene 1
      flux-local board write gull.fluxboard 1B --seed 2
    """
    from .write import write_out_panels

    write_out_panels(board, panels, options, as_json)


@board.command()
@board_argument
@click.argument("name", required=False)
@click.argument("image", nargs=-1, type=FILE)
@click.option("--role", type=click.Choice(ROLES), help="What it is.")
@click.option("--notes", metavar="TEXT", help="Notes.")
@click.option("--rename", metavar="NEW", help="Call it so, in all prompts too.")
@click.option("--remove", is_flag=True, help="Take it out of the cast; panels keep their pictures of it.")
@json_option
def cast(board: str, name: str | None, image: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Add NAME with its pictures to the cast, or change it; without a NAME, list the cast.

    Prompts mention it as @NAME.

    \b
    Example:
      flux-local board cast gull.fluxboard gull front.png side.png --role character
      flux-local board cast gull.fluxboard gull --rename seagull
    """
    from .edit import change_cast

    change_cast(board, name, image, options, as_json)


@board.command()
@board_argument
@panels_option
@click.option("-m", "--model", metavar="MODEL", help="Another model than the board's and the panels'.")
@click.option("--missing", is_flag=True, help="Only panels without a take.")
@click.option("--count", type=click.IntRange(1, 100), default=1, metavar="N", help="Takes of each panel.")
@click.option("--seed", type=click.IntRange(min=0), help="Of the first take of each panel; the next have the next.")
@click.option("--instruction", metavar="TEXT", help="Edit each panel's current take by this, whatever its prompt is.")
@click.option(
    "--machine", multiple=True, metavar="[USER@]HOST[:PROGRAM]", help="Render there too, through ssh; repeat for more."
)
@step_cache_option()
@cache_option()
@low_memory_option()
@json_option
def render(board: str, as_json: bool, **options: Any) -> None:
    """Make a new take of all panels, or of some; what continues from another panel comes after it.

    Every take is kept as soon as it is made. Ctrl-C stops within a step and keeps those.

    \b
    Example:
      flux-local board render gull.fluxboard --panels 1A-1C
      flux-local board render gull.fluxboard --instruction "make it night"
    """
    from .render import render_panels

    render_panels(board, options, as_json)


@board.command()
@board_argument
@click.option(
    "-o", "--output", required=True, type=FILE, metavar="OUT", help="File or folder; its ending is the format."
)
@click.option("-f", "--format", "name", metavar="FORMAT", help="Where the ending does not say it; see --formats.")
@click.option("-O", "--option", "pairs", multiple=True, metavar="NAME=VALUE", help="An option of the format.")
@panels_option
@click.option("--force", is_flag=True, help="Overwrite instead of numbering.")
@click.option(
    "--formats", is_flag=True, is_eager=True, expose_value=False, callback=lambda *a: _formats(*a), help="List."
)
@json_option
def export(board: str, as_json: bool, **options: Any) -> None:
    """Write the board for others: PDF sheets, pictures, timelines, layers, or a zip of the board itself.

    \b
    Example:
      flux-local board export gull.fluxboard -o gull.pdf -O paper=Letter -O columns=3
      flux-local board export gull.fluxboard -o frames -f png --panels 1A-1C
      flux-local board export gull.fluxboard -o gull.zip
    """
    from .share import export_file

    export_file(board, options, as_json)


def _formats(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        from .share import list_formats

        list_formats(bool(ctx.meta.get(JSON)))
        ctx.exit()


@board.command("import")
@click.argument("source", type=FILE)
@click.option("-o", "--output", type=FILE, metavar="BOARD", help="The new board; named like SOURCE if not given.")
@click.option(
    "-f", "--format", "name", metavar="FORMAT", help="Where the ending does not say it; see export --formats."
)
@click.option(
    "--onto", type=FILE, metavar="BOARD", help="Bring an edited timeline's order and lengths back onto this board."
)
@click.option("--into", type=FILE, metavar="BOARD", help="Add the panels to this board, behind those that are there.")
@json_option
def import_(
    source: str, output: str | None, name: str | None, onto: str | None, into: str | None, as_json: bool
) -> None:
    """Make a board from a script, a timeline, a folder of pictures or a zipped board.

    With --onto the clips of an edited timeline give their order and lengths to the panels that they are named after;
    clips of other names are new panels, and no panel is removed.

    \b
    Example:
      flux-local board import script.fountain -o film.fluxboard
    """
    from .share import import_file, import_into, import_onto

    if sum(place is not None for place in (output, onto, into)) > 1:
        raise click.UsageError("Choose one of --output, --onto and --into: the last two change a board that is there.")
    if into:
        import_into(source, into, name, as_json)
    elif onto:
        import_onto(source, onto, name, as_json)
    else:
        import_file(source, output, name, as_json)


@board.command()
@board_argument
@click.option("-m", "--model", metavar="MODEL", help="Check for this model instead of the board's.")
@json_option
def check(board: str, model: str | None, as_json: bool) -> None:
    """Say what is wrong with a board: lost pictures, mentions of nobody, panels that can't be rendered.

    Exit code 2 where there is something.

    \b
    Example:
      flux-local board check gull.fluxboard
    """
    from .show import check_file

    check_file(board, model, as_json)


@board.command()
@board_argument
@click.argument("panel", required=False)
@json_option
def show(board: str, panel: str | None, as_json: bool) -> None:
    """Everything about a board, or about one PANEL with its takes.

    \b
    Example:
      flux-local board show gull.fluxboard 1A --json
    """
    from .show import show_board

    show_board(board, panel, as_json)


@board.command("list")
@board_argument
@panels_option
@json_option
def list_(board: str, panels: str | None, as_json: bool) -> None:
    """One line for each panel: number, takes, prompt.

    \b
    Example:
      flux-local board list gull.fluxboard --panels 1A-2C
    """
    from .show import list_panels

    list_panels(board, panels, as_json)
