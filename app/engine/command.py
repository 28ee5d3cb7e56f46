"""How this program starts itself again, from a checkout, an installation or the frozen app."""

import os
import sys
from pathlib import Path


def words(*arguments: str) -> list[str]:
    """The command line of `flux-local ARGUMENTS`."""
    if getattr(sys, "frozen", False):  # the command line is a program of its own there, beside the window's
        return [str(Path(sys.executable).with_name("flux-local")), *arguments]
    # -P: a folder called app where the person happens to stand must not be taken for ours.
    return [sys.executable, "-P", "-m", "app", *arguments]


def variables() -> dict[str, str]:
    """The environment for it: this one, with the packages found where this process found them."""
    if getattr(sys, "frozen", False):
        return dict(os.environ)
    here, given = str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{given}" if given else here}
