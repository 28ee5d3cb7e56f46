"""flux-local bench"""

from typing import Any

import click

from .say import Reporter, echo, json_option, say_json


@click.command()
@click.option("-m", "--model", metavar="MODEL", help="A model's name or folder; the default model if not given.")
@click.option("--size", metavar="WxH|W:H", help="The picture's size; the model's own if not given.")
@click.option("--references", type=click.IntRange(0, 10), default=1, show_default=True, help="Pictures to look at.")
@click.option("--steps", type=int, metavar="N", help="Sampling steps; the model's own number if not given.")
@click.option("--runs", type=click.IntRange(1, 100), default=3, show_default=True, help="Edits that are timed.")
@json_option
def bench(model: str | None, size: str | None, references: int, steps: int | None, runs: int, as_json: bool) -> None:
    """Measure the seconds of an edit on this machine, and what share of the chip's peak that is.

    The first edit also loads the weights and is timed apart. Each edit has another prompt and seed, as real ones do.

    \b
    Example:
      flux-local bench --runs 3
    """
    from app.models.doctor import measure

    report = Reporter(as_json)
    try:
        result = measure(model, size, references, steps, runs, report)
    finally:
        report.clear()
    if as_json:
        say_json(result)
        return
    for line in _lines(result):
        echo(line)


def _lines(result: dict[str, Any]) -> list[str]:
    from mlx_model.memory import gib

    pictures = f"{result['references']} references" if result["references"] != 1 else "1 reference"
    lines = [
        f"{result['model']} on {result['chip']} ({result['backend']}, {result['dtype']})",
        f"{result['size'][0]}x{result['size'][1]}, {pictures}, {result['steps']} steps, median of {result['runs']}",
        f"first edit, with loading  {result['first_seconds']:.2f} s",
        f"an edit                   {result['edit_seconds']:.2f} s",
        f"a step                    {result['step_seconds']:.3f} s, {result['step_flops'] / 1e12:.3g} TFLOP",
        f"peak memory of the process  {gib(result['peak_bytes'])}",
    ]
    if result["share_of_peak"] is not None:
        share = f"{100 * result['share_of_peak']:.0f} % of {result['peak_tflops']:.3g} TFLOPS"
        lines.append(f"reached                   {result['step_tflops']:.3g} TFLOPS, {share} ({result['peak_basis']})")
    return lines
