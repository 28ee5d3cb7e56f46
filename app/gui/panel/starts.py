"""What a change can start from: the picture that is seen, or another one, which stays at hand while that is seen."""

from msgspec.structs import replace

from ...board.data import Board, Panel, Picture, Source, Take, numbers, pictures
from ...board.panel_job import read_request
from ...board.seen import look

TAKE = Source("take")


class Starts:
    """Remembers of each panel what a change was to start from when something else was chosen."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[Source, str | None]] = {}  # by panel; with the take that was seen then

    def leave(self, panel: Panel) -> None:
        """Before it starts from something else."""
        if panel.source.kind != "blank":
            self._left[panel.id] = panel.source, panel.current

    def find_seen(self, board: Board, panel: Panel) -> Source | None:
        """Of the picture that is seen: the current take, else that of the panel that is continued; None without one."""
        if panel.take:
            return panel.source if starts_from_seen(board, panel) else TAKE
        return panel.source if panel.source.kind != "blank" else self._find_left(board, panel)

    def find_other(self, board: Board, panel: Panel) -> Source | None:
        """Another one than that which is seen, chosen now or before."""
        for source in (panel.source, self._find_left(board, panel)):
            if panel.take and source and source.kind != "blank" and not starts_from_seen(board, panel, source):
                return source
        return None

    def _find_left(self, board: Board, panel: Panel) -> Source | None:
        """None where what is seen was made since, or what it was is gone."""
        left, seen = self._left.get(panel.id, (None, None))
        there = {None, *(one.id for one in board.panels()), *(one.id for one in panel.takes)}
        return left if left and seen == panel.current and {left.panel, left.take} <= there else None


def starts_from_seen(board: Board, panel: Panel, source: Source | None = None) -> bool:
    """Whether a change starts from the panel's picture as it is seen; `source`: were it that."""
    start = look(board).find_start(replace(panel, source=source or panel.source))
    return bool(start and (panel.take is None or start.id == panel.take.id))


def find_start(board: Board, take: Take) -> Picture | None:
    """The first picture of the request that made a take, where this board still has it."""
    references = read_request(take).get("references")
    first = references[0] if isinstance(references, list) and references else None
    wanted = first.get("sha256", "") if isinstance(first, dict) else ""
    found = (picture for picture in pictures(board) if picture.sha256 == wanted)
    return next(found, None) if wanted else None


def name_start(board: Board, panel: Panel, source: Source) -> str:
    """Such as take 2, or panel 1A."""
    if source.panel:
        return f"panel {numbers(board).get(source.panel, '')}".strip()
    start = look(board).find_start(replace(panel, source=source))
    return f"take {start.number}" if start else "take"
