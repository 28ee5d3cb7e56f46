"""What a safetensors file says that it holds, read strictly. Needs no mlx."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from ..errors import LayoutError, say_reason

Entry = tuple[str, tuple[int, ...]]  # a tensor's dtype as safetensors names it, and its shape


def header(file: Path) -> dict[str, Entry]:
    """Names, dtypes and shapes, after the safetensors library has checked offsets and length.

    Raises LayoutError; PermissionError, which the library would call a missing file.
    """
    with _open(file) as opened:
        slices = {name: opened.get_slice(name) for name in list(opened.keys())}
        return {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}


def metadata(file: Path) -> dict[str, str]:
    """The words in the header. Raises LayoutError, PermissionError."""
    with _open(file) as opened:
        return dict(opened.metadata() or {})


@contextmanager
def _open(file: Path) -> Iterator[Any]:
    try:
        file.open("rb").close()
        with safe_open(str(file), "np") as opened:
            yield opened
    except PermissionError:
        raise
    except (SafetensorError, OSError) as error:
        raise LayoutError(f"{file.name} is not a sound safetensors file: {say_reason(error)}.") from error
