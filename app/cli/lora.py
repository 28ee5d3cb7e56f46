"""flux-local lora ..."""

import click

from .options import FILE
from .say import echo, json_option, say_json


@click.group()
def lora() -> None:
    """List, add and remove LoRAs that --lora finds by name.

    \b
    Example:
      flux-local lora add ~/Downloads/comic.safetensors
      flux-local generate "a lighthouse" --lora comic:0.8
    """


@lora.command("list")
@json_option
def list_loras(as_json: bool) -> None:
    """The library: which model each LoRA is for, and its trigger words.

    \b
    Example:
      flux-local lora list
    """
    from app.base import paths
    from app.models.loras import list_loras as listed
    from mlx_model.memory import say_bytes

    entries = listed()
    if as_json:
        facts = [{"name": one.name, "path": str(one.path), "bytes": one.bytes, "models": list(one.names),
                  "triggers": list(one.triggers), "description": one.description, "encoder": one.encoder,
                  "problem": one.problem} for one in entries]  # fmt: skip
        say_json({"loras": facts})
        return
    if not entries:
        echo(f"There are none yet, in {paths.loras()}.")
    for one in entries:
        for_ = ", ".join(one.fits) or "a model that its names don't tell"
        echo(f"  {say_bytes(one.bytes)}", lead=one.name)
        echo(f"  {f'unusable: {one.problem}' if one.problem else f'for {for_}'}")
        if one.triggers:
            echo(f"  trigger words: {', '.join(one.triggers)}")


@lora.command()
@click.argument("files", type=FILE, nargs=-1, required=True)
def add(files: tuple[str, ...]) -> None:
    """Copy FILES into the library, with the pictures and words beside them.

    \b
    Example:
      flux-local lora add ~/Downloads/comic.safetensors
    """
    from pathlib import Path

    from app.models import loras

    for file in files:
        echo(loras.add(Path(file)).stem)


@lora.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(name: str, yes: bool) -> None:
    """Move a LoRA of the library to the Trash.

    \b
    Example:
      flux-local lora remove comic
    """
    from app.models import loras

    if not yes:
        click.confirm(f"Move {name} to the Trash?", abort=True, err=True)
    loras.remove(name)
    echo(f"{name} is in the Trash.")
