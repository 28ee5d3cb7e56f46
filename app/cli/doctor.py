"""flux-local doctor"""

from typing import TYPE_CHECKING, Any

import click

from mlx_model.errors import RequestError

from .say import echo, json_option, on_command_line, say_json

if TYPE_CHECKING:
    from mlx_model.store.cache import Cache


@click.command()
@click.option("--clear-cache", is_flag=True, help="Delete what was computed of prompts and pictures for later runs.")
@json_option
def doctor(clear_cache: bool, as_json: bool) -> None:
    """Say what this machine is, what fits, what is wrong and how to mend it.

    \b
    Example:
      flux-local doctor
      flux-local doctor --clear-cache
    """
    from app.models.doctor import cache, examine

    if clear_cache:
        _clear(cache())

    found = examine()
    found["problems"] = [{**problem, "mend": on_command_line(problem["mend"])} for problem in found["problems"]]
    if as_json:
        say_json(found)
        return
    for line in _lines(found):
        echo(line)
    for problem in found["problems"]:
        echo(f"    {problem['what']}\n           {problem['mend']}", lead="Problem", colour="yellow")


def _clear(cache: "Cache") -> None:
    try:
        cache.clear()
    except OSError as error:
        raise RequestError(f"{cache.folder} can't be cleared: {error.strerror}.", "Delete that folder.") from error


def _lines(found: dict[str, Any]) -> list[str]:
    from mlx_model.memory import gib, say_bytes

    machine, kept = found["machine"], found["cache"]
    rate = f"{machine['tflops']:.3g} TFLOPS ({machine['tflops_basis']})" if machine["tflops"] else "speed unknown"
    versions = ", ".join(f"{name} {version or 'missing'}" for name, version in found["packages"].items())
    lines = [
        f"Machine    {machine['chip']}, {machine['cores']} cores, {rate}",
        f"System     {machine['system']}, Python {found['python']}",
        f"Memory     {gib(machine['memory_bytes'])}, {gib(machine['memory_available_bytes'])} free now",
        f"MLX        runs on {found['backend'] or 'nothing: it does not load'}, BLAS {found['blas'] or 'built in'}",
        f"Previews   drawn by {found['previews']}",
        f"Packages   {versions}",
        f"Models in  {found['home']}, {say_bytes(found['free_bytes'])} free",
        f"Cache      {say_bytes(kept['bytes'])} of at most {say_bytes(kept['limit_bytes'])}, {kept['path']}",
    ]
    lines += [f"Installed  {m['name']}  {say_bytes(m['bytes'])}  {m['path']}" for m in found["installed"]]
    for name, bits in found["fits"].items():
        runs = f", {found['runs'][name]} bits read from the disk while it runs" if found["runs"][name] != bits else ""
        lines.append(f"Fits       {name}: {f'at up to {bits} bits' if bits else 'not whole'}{runs} (predicted)")
    return lines if found["problems"] else [*lines, "All is well."]
