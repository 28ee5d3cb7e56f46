"""A language model that writes prompts out, as it is published, becomes a folder that mlx-lm opens: at fewer bits where
that is asked for, with its tokenizer beside it, whole or not at all.
"""

import json
import shutil
import time
from collections.abc import Generator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from mlx_model.errors import ConvertError, LayoutError, say_reason
from mlx_model.events import Done, Event, Stage
from mlx_model.files import finish, sync_file, sync_folder, use_scratch_folder
from mlx_model.languages import LanguageModel
from mlx_model.run.write import FAILS, require_library
from mlx_model.store.folder import sha256_of
from mlx_model.store.headers import header
from mlx_model.store.shards import disk_full
from mlx_model.store.writer_folder import RECORD, check_writer
from mlx_model.unfinished import take_place
from mlx_model.writing import MAKERS

from .convert import make_partial
from .tokenizers.files import collect_tokenizer_files

GROUP = 64  # weights that share a scale, as mlx-lm has it
BESIDE = ("generation_config.json", MAKERS)


def make_writer(
    row: LanguageModel, weights: Path, tokenizer: Path, out: Path, bits: int
) -> Generator[Event, None, None]:
    """The language model in the folder `weights` becomes the folder `out`, which it replaces: Stage, Done.

    Raises RequestError without mlx-lm, LayoutError, ConvertError, DiskFull; nothing is left behind then.
    """
    start = time.monotonic()
    require_library()
    check_writer(weights)
    partial = make_partial(out)
    try:
        with disk_full(out), use_scratch_folder() as scratch:
            yield Stage("read", str(weights))
            model, config = _open(weights, bits)
            yield Stage("write", row.title)
            _save(model, config, partial)
            for file in [*collect_tokenizer_files(tokenizer, scratch), *(weights / name for name in BESIDE)]:
                if file.is_file():
                    shutil.copyfile(file, partial / file.name)
            yield Stage("check", row.title)
            _record(partial, row, config)
            take_place(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        finish(partial)
    yield Done(time.monotonic() - start, str(out))


def _open(folder: Path, bits: int) -> tuple[Any, dict[str, Any]]:
    """The model with its weights unread, and its config. What is packed already stays as it is."""
    from mlx_lm.utils import load_model, quantize_model

    try:
        for file in sorted(folder.glob("*.safetensors")):
            header(file)
        model, config = load_model(folder, lazy=True)
        if bits < 16 and "quantization" not in config:
            with redirect_stdout(StringIO()):  # it prints what it reached
                model, config = quantize_model(model, config, GROUP, bits)
    except FAILS as error:
        raise LayoutError(f"{folder} is no language model that mlx-lm opens: {say_reason(error)}.") from error
    return model, config


def _save(model: Any, config: dict[str, Any], folder: Path) -> None:
    """One shard in memory at a time."""
    from mlx_lm.utils import save_config, save_model

    try:
        save_model(folder, model, donate_model=True)
    except RuntimeError as error:  # MLX's own word for a write that failed
        raise ConvertError(f"The writer could not be written: {say_reason(error)}.", "Is the disk full?") from error
    save_config(config, folder / "config.json")


def _record(folder: Path, row: LanguageModel, config: dict[str, Any]) -> None:
    """What it is and what its files hold, last and durably."""
    for file in folder.iterdir():
        sync_file(file)
    files = {file.name: {"bytes": file.stat().st_size, "sha256": sha256_of(file)} for file in sorted(folder.iterdir())}
    bits = (config.get("quantization") or {}).get("bits", 16)
    values = {"name": row.name, "repo": row.repo, "licence": row.licence.name, "bits": bits, "files": files}
    (folder / RECORD).write_text(json.dumps(values, indent=1), "utf-8")
    sync_file(folder / RECORD)
    sync_folder(folder)
