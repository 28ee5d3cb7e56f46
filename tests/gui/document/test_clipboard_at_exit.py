"""A picture that is still on the clipboard when the program ends."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import sys
from pathlib import Path
from types import SimpleNamespace
from PySide6.QtWidgets import QApplication
from app.gui.document import picture_drag
app = QApplication([])
document = SimpleNamespace(picture_path=lambda sha256: Path(sys.argv[1]))
picture_drag.copy(document, SimpleNamespace(sha256="0" * 64), "take")
assert app.clipboard().image().width() == 160
"""


@pytest.mark.sweep
def test_the_program_ends_in_peace(picture_file):
    words = [sys.executable, "-c", PROGRAM, str(picture_file())]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.replace("This plugin does not support propagateSizeHints()\n", "")) == (0, "")
