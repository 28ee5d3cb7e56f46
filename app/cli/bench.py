"""flux-local bench"""

import dataclasses
import json
import subprocess
from typing import TYPE_CHECKING, Any

import click

from .options import low_memory_option
from .say import Reporter, echo, json_option, say_json

if TYPE_CHECKING:
    from app.models.benchmark import Facts, Task


@click.command()
@click.option("-m", "--model", metavar="MODEL", help="A model's name or folder; the default model if not given.")
@click.option("--size", metavar="WxH|W:H", help="The picture's size; the model's own if not given.")
@click.option("--references", type=click.IntRange(0, 10), default=1, show_default=True, help="Pictures to look at.")
@click.option("--steps", type=int, metavar="N", help="Sampling steps; the model's own number if not given.")
@click.option("--runs", type=click.IntRange(1, 100), default=3, show_default=True, help="Repetitions.")
@low_memory_option()
@click.option("--one", is_flag=True, hidden=True, help="One repetition, in this process.")
@json_option
def bench(runs: int, one: bool, as_json: bool, **options: Any) -> None:
    """Measure the seconds of an edit on this machine, its memory, and what share of the chip's peak that is.

    Each repetition is a process of its own with two edits: one that loads the weights, and one with another prompt and
    seed, as real ones have. docs/MACS.md says how to send the result.

    \b
    Example:
      flux-local bench --runs 3 --json
    """
    from app.models.benchmark import Task, load, measure, sum_up

    task = Task(**options)
    if one:
        say_json(measure(task))
        return
    report, before = Reporter(as_json=False), load()  # on stderr: what --json prints is the result alone
    task.open()  # what is wrong is said before anything starts
    try:
        found = [_repeat(task, number, runs, report) for number in range(runs)]
    finally:
        report.clear()
    result = sum_up(task, found, before)
    if as_json:
        say_json(result)
        return
    for line in _lines(result):
        echo(line)


def _repeat(task: "Task", number: int, runs: int, report: Reporter) -> "Facts":
    """One repetition, in a process of its own. Raises ModelError with what that says where it fails."""
    from app.engine.protocol import command_line
    from mlx_model.errors import ModelError
    from mlx_model.events import Stage

    report(Stage("bench", f"repetition {number + 1} of {runs}"))
    words = ["--low-memory"] if task.low_memory else []
    for name, value in dataclasses.asdict(task).items():
        if name != "low_memory" and value is not None:
            words += [f"--{name}", str(value)]
    done = subprocess.run(command_line("bench", "--one", *words), capture_output=True, text=True, check=False)
    if done.returncode:
        raise ModelError(f"The repetition failed. {done.stderr.strip() or done.stdout.strip()}")
    found: Facts = json.loads(done.stdout.splitlines()[-1])
    return found


def _lines(result: dict[str, Any]) -> list[str]:
    from app.models.benchmark import SLOWER
    from mlx_model.memory import gib

    pictures = f"{result['references']} references" if result["references"] != 1 else "1 reference"
    how = ", read from the disk as it runs" if result["streamed"] else ""
    lines = [
        f"{result['model']}, {result['plan']}, on {result['chip']} ({result['backend']}, {result['dtype']}{how})",
        f"{result['size'][0]}x{result['size'][1]}, {pictures}, {result['steps']} steps, median of {result['runs']}",
        f"first edit, with loading  {result['first_seconds']:.2f} s",
        f"an edit                   {result['edit_seconds']:.2f} s",
        f"a step                    {result['step_seconds']:.3f} s, {result['step_flops'] / 1e12:.3g} TFLOP",
        f"peak memory of the process  {gib(result['peak_bytes'])}",
    ]
    if result["share_of_peak"] is not None:
        share = f"{100 * result['share_of_peak']:.0f} % of {result['peak_tflops']:.3g} TFLOPS"
        lines.append(f"reached                   {result['step_tflops']:.3g} TFLOPS, {share} ({result['peak_basis']})")
    if result["slower"] and result["slower"] > SLOWER:
        more = round(100 * (result["slower"] - 1))
        lines.append(
            f"The last repetition's steps took {more} % longer than the first's: the machine was warm, or busy."
        )
    return lines
