"""flux-local depth"""

from pathlib import Path

import click

from mlx_model.helpers import DEPTH

from .helper import make
from .options import FILE
from .say import Reporter, json_option


@click.command()
@click.argument("photo", type=FILE)
@click.option("-o", "--output", type=FILE, metavar="MAP", help="Where the map goes.")
@click.option("--force", is_flag=True, help="Overwrite MAP.")
@json_option
def depth(photo: str, output: str | None, force: bool, as_json: bool) -> None:
    """Make a depth map of PHOTO: near is white, far is black, as FLUX.1 Depth takes it.

    Runs with such a model make it by themselves. It needs Depth Anything V2 Small (99 MB, Apache-2.0), once.

    \b
    Example:
      flux-local models add depth-anything-v2-small
      flux-local depth house.jpg -o depth.png
    """
    make(DEPTH, photo, output or f"{Path(photo).stem}-depth.png", {"force": force}, Reporter(as_json))
