"""flux-local convert"""

from pathlib import Path

import click

from .options import FILE, bits_option, lora_option
from .say import Reporter, echo_path, json_option


@click.command()
@click.argument("source", type=FILE)
@click.option("-o", "--output", type=FILE, metavar="DIR", help="Where the converted folder goes.")
@click.option("--model", metavar="NAME", help="Which model it is, where its keys fit several.")
@bits_option(default=16)
@click.option("--plan", metavar="NAME", help="Instead of --bits: q8 to q3, 16bit, 32bit; q6r to q3r rotate.")
@click.option("--companions", type=FILE, metavar="DIR", help="What SOURCE lacks: a checkpoint's or a model's folder.")
@lora_option(help="A LoRA that becomes part of the weights; may be repeated.")
@click.option("--force", is_flag=True, help="Replace a converted folder at DIR.")
@click.option("--coreml", is_flag=True, help="Give the converted folder SOURCE previews through Core ML.")
@json_option
def convert(
    source: str,
    output: str | None,
    model: str | None,
    bits: int,
    plan: str | None,
    companions: str | None,
    loras: tuple[str, ...],
    force: bool,
    coreml: bool,
    as_json: bool,
) -> None:
    """Turn a checkpoint into a folder that Flux Local opens.

    SOURCE is a single file as it is published, as ComfyUI stores it or as GGUF (with --companions for what it lacks; of
    a .pt file only the numbers are read), a diffusers folder, or one that mflux saved.

    \b
    Example:
      flux-local convert ~/Downloads/FLUX.2-klein-4B -o klein-8bit --bits 8
      flux-local convert ~/Downloads/flux-2-klein-comics.safetensors -o comics --companions klein-8bit
      flux-local generate "a lighthouse" -m comics
      flux-local convert klein-8bit --coreml
    """
    from app.base import blas, paths

    if coreml and (bits != 16 or any((model, plan, companions, loras, force))):
        raise click.UsageError("--coreml changes no weights: give it a converted folder, and --output or nothing.")
    if not (coreml or output):
        raise click.UsageError("Say where the converted folder goes: --output DIR.")
    blas.preload()
    if output:
        paths.require_free(Path(output), model=True)
    if coreml:
        _add_packages(Path(source), Path(output) if output else None, as_json)
        return
    from app.models.loras import find
    from app.pictures import inputs
    from converters.convert import convert as converted

    from .asking import show

    extra = Path(companions) if companions else None
    adapters = [inputs.load_lora(text, find) for text in loras]
    show(converted(Path(source), Path(str(output)), model, bits, plan, extra, force, adapters), Reporter(as_json))
    if not as_json:
        echo_path(Path(str(output)).absolute())


def _add_packages(source: Path, output: Path | None, as_json: bool) -> None:
    from converters.coreml import add_packages

    from .asking import show

    show(add_packages(source, output), Reporter(as_json))
    if not as_json:
        echo_path((output or source).absolute())
