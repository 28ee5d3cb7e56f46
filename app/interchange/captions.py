"""The words under a panel of a PDF sheet, in the order that a director reads them."""

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from PySide6.QtGui import QFont, QPagedPaintDevice

from .job import Entry, Job
from .typeset import INK, LEADING, SOFT, Line, Run, Style, break_lines
from .values import clean

SPEAKER = re.compile(r"[^\W\d_a-z][^:\n]{0,40}(?=:)")  # a name in capitals before a colon, as scripts are imported
WIDE, MIDDLE = 75.0, 48.0  # mm of a column
GAP = 0.35  # of a line, between action, dialogue and notes


@dataclass
class Captions:
    """`column` is the width of a panel's column in millimetres: narrow ones get smaller type."""

    job: Job
    device: QPagedPaintDevice
    options: dict[str, Any]
    column: float
    strange: set[str] = field(default_factory=set)

    @cached_property
    def points(self) -> float:
        return 8.5 if self.column > WIDE else 7.5 if self.column > MIDDLE else 6.5

    @property
    def line_height(self) -> float:
        return self.points * LEADING * self.device.logicalDpiY() / 72

    @cached_property
    def wanted(self) -> bool:
        """Whether any panel has a caption to print."""
        words = [name for name in ("action", "dialogue", "notes") if self.options[name]]
        return any(getattr(entry.panel, name).strip() for entry in self.job.entries for name in words)

    def lay_out(self, entry: Entry, width: float) -> list[Line]:
        """Action, dialogue with its speakers, notes: each in its own type."""
        lines: list[Line] = []
        for runs in self._list_paragraphs(entry):
            lines += break_lines(runs, width, self.device, GAP * self.line_height, self.strange)
        return lines

    def _list_paragraphs(self, entry: Entry) -> list[list[Run]]:
        panel, found = entry.panel, []
        if self.options["action"]:
            found.append([Run(clean(panel.action).strip(), Style(self.points))])
        if self.options["dialogue"]:
            found += [self._set_speech(line) for line in clean(panel.dialogue).splitlines() if line.strip()]
        if self.options["notes"]:
            found.append([Run(clean(panel.notes).strip(), Style(self.points - 0.5, SOFT, italic=True))])
        return [runs for runs in found if any(run.text.strip() for run in runs)]

    def _set_speech(self, line: str) -> list[Run]:
        speaker = SPEAKER.match(line)
        plain, bold = Style(self.points, INK), Style(self.points - 0.5, INK, QFont.Weight.DemiBold)
        if not speaker or speaker[0] != speaker[0].upper():
            return [Run(f"“{line.strip()}”" if line.strip()[0].isalpha() else line.strip(), plain)]
        return [Run(speaker[0], bold), Run(f"  {line[speaker.end() + 1 :].strip()}", plain)]
