"""flux-local edit"""

from pathlib import Path
from typing import Any

import click

from .options import FILE, region_option, run_options


@click.command()
@click.argument("image", nargs=-1, type=FILE)
@click.option("-p", "--prompt", help="The instruction; @1, @2 or @NAME mean the pictures (NAME: file name, no ending).")
@click.option("--mask", type=FILE, metavar="M", help="Repaint only where this picture is white (or painted, on clear).")
@click.option("--outpaint", metavar="L,T,R,B", help="Paint new ground: pixels to add left, above, right and below.")
@click.option("--ready-made", is_flag=True, default=None, help="For Canny: IMAGE is an edge map already, not a photo.")
@click.option("--strength", type=float, metavar="S", help="Start from the first picture: near 0 keeps it, 1 repaints.")
@region_option()
@run_options
def edit(image: tuple[str, ...], prompt: str | None, **options: Any) -> None:
    """Change the first IMAGE by instruction; the others are references.

    A @ that is no mention is written \\@. What IMAGE is to special models: FLUX.1 Fill repaints under --mask or beyond
    its borders, Canny follows its edges, Depth takes it as a depth map (near is white), Redux makes variations of it.

    \b
    Example:
      flux-local edit room.png chair.jpg -p "put the chair of @2 by the window" -o out.png
      flux-local edit room.png -p "the garden outside" --outpaint 0,0,256,0 -m flux1-fill-dev -o wide.png
      flux-local edit house.jpg -p "a house of glass" -m flux1-canny-dev
      flux-local edit room.png -m flux1-redux-dev --count 4
      flux-local edit --again out.png --seed 7
    """
    from .run import run

    if not image and not options["again"]:
        raise click.UsageError("Give the picture to change, or --again OUT.png.")
    run(options, prompt, image, f"{Path(image[0] if image else options['again']).stem}-edit.png")
