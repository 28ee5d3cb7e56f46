"""Tables of documents that are made by code: they stand between two marks."""

import sys
from pathlib import Path
from typing import NamedTuple


class Place(NamedTuple):
    """Where a table stands."""

    file: Path
    start: str
    end: str

    def put(self, table: str) -> str:
        """The document with this table between its marks."""
        before, _, rest = self.file.read_text("utf-8").partition(self.start)
        _, _, after = rest.partition(self.end)
        return f"{before}{self.start}\n{table}\n{self.end}{after}"

    def print_or_write(self, table: str) -> None:
        """Into the document where the command line has --write."""
        if "--write" in sys.argv:
            self.file.write_text(self.put(table), "utf-8")
        else:
            print(table)
