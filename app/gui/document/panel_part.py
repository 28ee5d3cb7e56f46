"""What all parts of the panel view share: the panel that they show, and how they change it."""

from ...board import commands
from ...board.data import Panel
from .document import Document


class PanelPart:
    """Mixed into a widget that shows something of one panel at a time.

    `refresh` comes after every change of the board, so for every letter that is typed: a part keeps in `_shown` what it
    showed last, and leaves early where that is still so.
    """

    document: Document
    panel_id = ""
    _shown: object = None

    @property
    def panel(self) -> Panel:
        """As the board has it now. Raises Refused where no panel is shown, or it is gone."""
        return self.document.board.panel(self.panel_id)

    def show_panel(self, panel_id: str) -> None:
        """Show another panel of the board. Raises Refused."""
        self.panel_id, self._shown = panel_id, None
        self.refresh()

    def refresh(self) -> None:
        """Show the board as it is now, if what is shown here changed."""
        raise NotImplementedError

    def change(self, label: str, merge: str | None = None, **fields: object) -> None:
        """Set fields of the panel; `label` and `merge` as in Document.do. Where that is refused, the board is shown."""
        if not self.document.do(label, lambda board: commands.set_panel(board, self.panel_id, **fields), merge):
            self._shown = None
            self.refresh()
