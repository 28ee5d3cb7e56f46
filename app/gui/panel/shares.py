"""How high the parts of the panel's side are: what is above takes what it needs, the takes below have the rest."""

from PySide6.QtCore import QEvent, QObject, QPoint
from PySide6.QtWidgets import QLabel, QScrollArea, QStackedWidget, QWidget

from ..kit.turns import OnceATurn

HALF = 0.5  # of the height: pages have no more where the takes need theirs
FLOOR = 120  # px: no edge is moved higher up


class Shares(QObject):
    """Fixes the height of `pages`, each a QScrollArea with one widget, whenever that or the `side` has another one."""

    def __init__(self, side: QWidget, pages: QStackedWidget):
        super().__init__(side)
        self.side, self.pages, self.takes = side, pages, 0  # px that the takes and all around them need
        self.share_soon = OnceATurn(self, self.share).ask
        side.installEventFilter(self)
        pages.currentChanged.connect(self.share_soon)
        for place in range(pages.count()):
            self._inside(place).installEventFilter(self)

    def _inside(self, place: int) -> QWidget:
        area = self.pages.widget(place)
        inside = area.widget() if isinstance(area, QScrollArea) else None
        assert inside
        return inside

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        wanted = QEvent.Type.Resize if watched is self.side else QEvent.Type.LayoutRequest
        if event.type() == wanted:
            self.share_soon()
        return False

    def share(self) -> None:
        """What the page needs; half, or what the takes leave, where that is less."""
        page, room = self._inside(self.pages.currentIndex()), self.side.height() - self.pages.y()
        needed = measure(page)
        most = max(round(HALF * room), room - self.takes)
        self.pages.setFixedHeight(needed if needed <= most else find_edge(page, most))


def measure(page: QWidget) -> int:
    """The height that all of it needs at its width."""
    layout = page.layout()
    if layout is None:
        return page.sizeHint().height()
    return layout.totalHeightForWidth(page.width()) if layout.hasHeightForWidth() else layout.totalSizeHint().height()


def find_edge(page: QWidget, most: int) -> int:
    """The lowest place, at most there, where an edge cuts through no field and no line of letters."""
    edge, parts = most, [one for one in page.findChildren(QWidget) if one.isVisibleTo(page) and not one.layout()]
    own = [(one, one.mapTo(page, QPoint()).y()) for one in parts if _is_laid_out(one)]
    while cut := [(one, top) for one, top in own if top < edge < top + one.height()]:
        edge = min(_find_line(one, top, edge) for one, top in cut)
    return edge if edge >= FLOOR else most


def _is_laid_out(one: QWidget) -> bool:
    """No part of a field, such as the line in a box of numbers."""
    around = one.parentWidget()
    return around is not None and around.layout() is not None


def _find_line(one: QWidget, top: int, edge: int) -> int:
    """Above the line that is cut there: of a field, its only one."""
    line = one.fontMetrics().lineSpacing() if isinstance(one, QLabel) else one.height()
    return min(edge - 1, top + (edge - top) // line * line)
