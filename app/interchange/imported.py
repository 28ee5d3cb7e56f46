"""Pictures of other programs as takes of a board."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from mlx_model.errors import FluxLocalError

from ..board.data import Panel, Take, new_id
from ..pictures.images import open_picture
from .formats import Source
from .text import line


def with_take(panel: Panel, pixels: np.ndarray, name: str, source: Source) -> Panel:
    """`panel` with one more take, the current one, of (H, W, 3) uint8 sRGB; it has no request."""
    picture = msgspec.structs.replace(source.put_picture(pixels), name=line(name, 120))
    made = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    take = Take(new_id(), picture, "", "", made, 0, note="imported")
    return msgspec.structs.replace(panel, takes=(*panel.takes, take), current=take.id)


def with_file(panel: Panel, path: Path, source: Source) -> Panel:
    """`panel` with the picture of `path`; without it, and a note, where that can't be used."""
    try:
        return with_take(panel, open_picture(path, source.notes), path.name, source)
    except FluxLocalError as error:
        source.notes.append(error.message)
        return panel
