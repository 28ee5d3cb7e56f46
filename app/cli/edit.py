"""flux-local edit"""

from pathlib import Path
from typing import Any

import click

from .options import FILE, run_options


@click.command()
@click.argument("image", nargs=-1, type=FILE)
@click.option("-p", "--prompt", help="The instruction; @1, @2 or @NAME mean the pictures (NAME: file name, no ending).")
@click.option("--mask", type=FILE, metavar="M", help="Repaint only where this picture is white (or painted, on clear).")
@click.option("--strength", type=float, metavar="S", help="Start from the first picture: near 0 keeps it, 1 repaints.")
@run_options
def edit(image: tuple[str, ...], prompt: str | None, **options: Any) -> None:
    """Change the first IMAGE by instruction; the others are references.

    A @ that is no mention is written \\@.

    \b
    Example:
      flux-local edit room.png chair.jpg -p "put the chair of @2 by the window" -o out.png
      flux-local edit --again out.png --seed 7
    """
    from .run import run

    if not image and not options["again"]:
        raise click.UsageError("Give the picture to change, or --again OUT.png.")
    if prompt is None and not options["again"]:
        raise click.UsageError("Say what to change with -p PROMPT.")
    run(options, prompt, image, f"{Path(image[0] if image else options['again']).stem}-edit.png")
