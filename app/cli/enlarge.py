"""flux-local enlarge"""

from pathlib import Path
from typing import Any

import click

from mlx_model.errors import Advice, RequestError
from mlx_model.request import demand

from .options import FILE, Number, enlarge_options
from .say import Reporter


@click.command()
@click.argument("image", type=FILE)
@click.option("--by", type=click.Choice(("2", "4")), default="2", show_default=True, help="How many times.")
@click.option("-p", "--prompt", help="What to ask for in place of sharpness and fine detail.")
@click.option(
    "--strength",
    type=Number(0, 1, min_open=True),
    metavar="S",
    help="How much is made anew: 0.2 little, 0.35, 0.5 much.",
)
@click.option("--quick", is_flag=True, help="By Swin2SR: sharper edges, nothing new drawn. See models add swin2sr-x2.")
@enlarge_options
def enlarge(image: str, by: str, prompt: str | None, quick: bool, **options: Any) -> None:
    """Make IMAGE 2 or 4 times as wide and as high, with detail that a model that edits adds.

    It works tile by tile, so that a large picture needs no more memory than a small one. One that was stopped goes on
    when the same command is given again. A model that can't edit enlarges plainly, by Lanczos, and says so.

    \b
    Example:
      flux-local enlarge take.png -m flux2-klein-4b -o large.png
      flux-local enlarge take.png --by 4 --strength 0.25
      flux-local enlarge take.png --quick
    """
    name = f"{Path(image).stem}-{by}x.png"
    if quick:
        _enlarge_quickly(image, int(by), name, {**options, "prompt": prompt})
        return
    from .run import run

    unused = dict.fromkeys(("size", "negative", "again", "preview", "noise", "save_latents"))
    run({**unused, **options, "count": 1, "enlarge": int(by)}, prompt, (image,), name)


def _enlarge_quickly(image: str, factor: int, name: str, options: dict[str, Any]) -> None:
    """Raises RequestError for what only a model that paints takes."""
    from mlx_model.helpers import find_enlarger

    from .helper import make

    given = [one for one in ("model", "prompt", "strength", "steps", "guidance", "seed", "loras") if options.get(one)]
    if given:
        raise RequestError("--quick enlarges without a model that paints.", Advice("leave_out", {"setting": given[0]}))
    make(demand(find_enlarger(factor)), image, options["output"] or name, options, Reporter(options["as_json"]))
