"""Where pictures lie between the worker and the board: one folder for each window, which removes it at its end."""

import os
import re
import shutil
import tempfile
from pathlib import Path

from ..fluxboard.lock import alive

PREFIX = "flux-local-jobs-"
NAME = re.compile(re.escape(PREFIX) + r"(\d{1,9})-\w+")  # with the process that owns it


def folder() -> Path:
    """A new folder. What windows left that were killed is removed: an artist's pictures don't lie about for good."""
    made = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    for other in made.parent.glob(f"{PREFIX}*"):
        owner = NAME.fullmatch(other.name)
        if owner and not alive(int(owner[1])):
            shutil.rmtree(other, ignore_errors=True)
    return made
