"""The folder of a language model that writes prompts out: what is seen of it before anything is loaded. Needs no mlx.

Any that mlx-lm opens. `models add` puts RECORD beside the files that it has made: {"bits", "files": {name: {"bytes",
"sha256"}}}.
"""

import math
from pathlib import Path

from ..errors import Advice, LayoutError, WillNotFit, say_reason
from ..foreign import parse_json, read_small
from ..languages import ROOM
from .folder import sha256_of
from .headers import header

RECORD = "writer.json"
OWN_CODE = ("auto_map", "model_file")  # of config.json: Python files of the folder


def check_writer(folder: Path, usable: float = math.inf) -> None:
    """All that can be told without reading weights. `usable`: bytes. Raises LayoutError, WillNotFit."""
    _check_config(folder)
    files = sorted(folder.glob("*.safetensors"))
    weights = sum(file.stat().st_size for file in files)
    if not weights:
        raise _tell(folder, "has no weights as safetensors")
    if weights + ROOM > usable:
        needed, room = (f"{count / 2**30:.1f} GB" for count in (weights + ROOM, usable))
        what = f"The writer needs about {needed} of memory (predicted); this machine can give {room}."
        raise WillNotFit(what, "Take a smaller one, or fewer bits.")
    if (folder / RECORD).is_file():
        read_bits(folder)
    try:
        for file in files:
            header(file)
    except (LayoutError, OSError) as error:
        raise tell_unfit(folder, error) from error


def _check_config(folder: Path) -> None:
    try:
        config = parse_json(read_small(folder / "config.json"))
        if not isinstance(config, dict):
            raise ValueError("no object")
    except (OSError, ValueError) as error:
        raise _tell(folder, "is no language model: it has no sound config.json") from error
    if any(config.get(key) for key in OWN_CODE):
        raise LayoutError(f"{folder} brings code of its own, which is not run.", "Take a model that mlx-lm knows.")


def read_bits(folder: Path, hashes: bool = False) -> int:
    """Of one that `models add` has made, once its files are those that it names. Raises LayoutError."""
    try:
        record = parse_json(read_small(folder / RECORD))
        bits = int(record["bits"])
        for name, told in record["files"].items():
            file = folder / Path(name).name
            if not file.is_file() or file.stat().st_size != told["bytes"]:
                raise _tell(folder, f"is not whole: {name} is missing or altered")
            if hashes and sha256_of(file) != told["sha256"]:
                raise _tell(folder, f"is not whole: {name} is damaged")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _tell(folder, f"is not whole: {RECORD} is damaged") from error
    return bits


def tell_unfit(folder: Path, error: Exception) -> LayoutError:
    """What mlx-lm or a file's header said of it."""
    return _tell(folder, f"is no language model that mlx-lm opens: {say_reason(error)}")


def _tell(folder: Path, what: str) -> LayoutError:
    """With what to do: one of ours is added again, another folder downloaded again."""
    ours = (folder / RECORD).is_file()
    again = Advice("add_model_again", {"name": folder.name, "path": str(folder)}) if ours else "Download it again."
    return LayoutError(f"{folder} {what}.", again)
