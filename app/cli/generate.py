"""flux-local generate"""

from typing import Any

import click

from .options import FILE, run_options


@click.command()
@click.argument("prompt", required=False)
@click.option("--class", "label", type=int, metavar="N", help="The class to show, for a model of numbered classes.")
@click.option(
    "--sampler", metavar="NAME", help="How to sample, where the model has a choice: sde (as released), ode (our own)."
)
@click.option("--control", type=FILE, metavar="MAP", help="Follow this edge or depth map (FLUX.1 Canny and Depth).")
@run_options
def generate(prompt: str | None, **options: Any) -> None:
    """Make a picture from a description.

    The path of the picture is printed on stdout; a name that is taken gets a number.

    \b
    Example:
      flux-local generate "a lighthouse at dawn, watercolour" --size 16:9 -o dawn.png
      flux-local generate -m selfflow-imagenet --class 207 -o dog.png
      flux-local generate "a house of glass" --control depth.png -m flux1-depth-dev
    """
    from .run import run

    if prompt is None and options["label"] is None and not options["again"]:
        raise click.UsageError("Say what the picture should show, or give --again OUT.png.")
    run(options, prompt, (), "flux-local.png")
