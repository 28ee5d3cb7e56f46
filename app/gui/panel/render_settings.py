"""How a panel is rendered: model, size, steps, guidance, strength, seed; folded away under one line that says it."""

import secrets

from msgspec.structs import replace
from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtGui import QRegularExpressionValidator
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from mlx_model.errors import FluxLocalError
from mlx_model.request import MAX_SEED, MAX_STEPS, parse_size
from mlx_model.shortcuts import MOST_CHANGE, computes_regions, gains_from_cache

from ...board.data import ASPECTS, Panel, Settings
from ...board.panel_job import name_loras
from ...models import library
from ..document.document import Document
from ..document.forecast import PanelModel, find_model
from ..document.panel_part import PanelPart
from ..kit import icons
from ..kit.fields import add_row, choice, form, fraction, show_number, whole
from ..kit.measures import GAP, HAIR
from ..kit.widgets import describe, icon_button, label
from ..kit.words import model_title
from .fields import LorasField

CUSTOM = "Other…"


class RenderSettings(PanelPart, QWidget):
    """Fields of one panel. `model` is the one it is rendered with, to be set before show_panel and refresh."""

    def __init__(self, document: Document, parent: QWidget | None = None):
        super().__init__(parent)
        self.document, self.model = document, PanelModel()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GAP)
        self.fold = icon_button("Settings", "down", "Model, size, steps, guidance, seed", checkable=True)
        self.fold.setText("Settings")
        self.fold.setProperty("kind", "fold")
        self.fold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.fold.setLayoutDirection(Qt.LayoutDirection.RightToLeft)  # the arrow behind the word
        self.fold.toggled.connect(self._unfold)
        self.summary = label(tone="muted", wrap=True)
        heading = QHBoxLayout()
        heading.addWidget(self.fold)
        heading.addStretch(1)
        column.addLayout(heading)
        column.addWidget(self.summary)
        self.body = QWidget()
        column.addWidget(self.body)
        self._build_fields()
        self.body.hide()

    def _build_fields(self) -> None:
        layout = form()
        self.body.setLayout(layout)
        self.model_box = choice("Model", "What makes the picture", self._choose_model)
        self.size_box = choice("Size", "In pixels", self._choose_size)
        self.size_field = QLineEdit()
        describe(self.size_field, "Width x height", "Such as 1024x768, or a shape such as 16:9")
        self.size_field.editingFinished.connect(self._type_size)
        self.size_field.hide()
        self.steps = whole("Steps", "More steps take longer", MAX_STEPS, lambda v: self._set("Steps", steps=v))
        self.guidance = fraction(
            "Guidance", "How closely the words are followed", 100.0, 0.5, lambda v: self._set("Guidance", guidance=v)
        )
        self.step_cache = fraction(
            "Step cache",
            "Skips most of a step that is like one before: 0.1 saves a third or more, and changes the picture a little",
            MOST_CHANGE, 0.05, lambda v: self._set("Step Cache", step_cache=v or None),
        )  # fmt: skip
        self.region = QCheckBox("Only under the mask")
        hint = "Compute what is under the mask and a rim around it: quicker where it is small, a little different"
        describe(self.region, "Only under the mask", hint)
        self.region.clicked.connect(lambda on: self._set("Region", region=on))
        self.strength = fraction(
            "Strength",
            "Off: the text says what changes. 0.05 to 1: paint over the start picture, more with more strength",
            1.0, 0.05, lambda v: self._set("Strength", strength=v or None),
        )  # fmt: skip
        add_row(layout, "Model", self.model_box)
        self.advice = label(tone="muted", wrap=True)
        layout.addRow("", self.advice)
        add_row(layout, "Size", self.size_box)
        layout.addRow("", self.size_field)
        add_row(layout, "Steps", self.steps)
        self.guidance_label = add_row(layout, "Guidance", self.guidance)
        self.strength_label = add_row(layout, "Strength", self.strength)
        add_row(layout, "Step cache", self.step_cache)
        self.region_label = add_row(layout, "Compute", self.region)
        add_row(layout, "Seed", self._seed_row(), self.seed)
        self.loras = LorasField(self.document)
        add_row(layout, "LoRAs", self.loras, self.loras.box)

    def _seed_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(HAIR)
        self.seed = QLineEdit()
        self.seed.setValidator(QRegularExpressionValidator(r"\d{0,20}", self.seed))
        describe(self.seed, "Seed", "The same seed and settings make the same picture again")
        self.seed.editingFinished.connect(self._type_seed)
        self.lock = icon_button("Keep the seed", "unlock", "Locked: every run uses this seed", checkable=True)
        self.lock.clicked.connect(lambda on: self._lock(on))
        self.dice = icon_button("Another seed", "dice", "Roll a new one and keep it", self._roll_seed)
        for widget in (self.seed, self.lock, self.dice):
            row.addWidget(widget)
        return row

    def controls(self) -> list[QWidget]:
        """What takes the keyboard, in its order."""
        return [self.fold, self.model_box, self.size_box, self.size_field, self.steps, self.guidance, self.strength,
                self.step_cache, self.region, self.seed, self.lock, self.dice, self.loras.box]  # fmt: skip

    # Showing

    def show_panel(self, panel_id: str) -> None:
        self.panel_id = panel_id
        self._fill_models()
        self.loras.model = self.model
        self.loras.show_panel(panel_id)
        super().show_panel(panel_id)

    def refresh(self) -> None:
        panel, board, spec = self.panel, self.document.board, self.model.spec
        self.loras.model = self.model
        self.loras.refresh()
        wanted = (
            *(self.model, panel.settings, panel.source, panel.seed, panel.seed_locked),
            *(board.aspect, board.model, board.loras),
        )
        if wanted == self._shown:
            return
        self._shown = wanted
        settings, starts = panel.settings, panel.source.kind != "blank"
        show_number(self.steps, settings.steps, f"{spec.steps} (model's own)" if spec else "Model's own")
        show_number(self.guidance, settings.guidance, f"{spec.guidance:g} (model's own)" if spec else "Model's own")
        show_number(self.strength, settings.strength, "Off")
        has_guidance = bool(spec and spec.guidance_kind != "none")
        has_region = bool(spec and starts and computes_regions(spec))
        self.region.setChecked(settings.region)
        for widget, there in (
            (self.guidance, has_guidance), (self.guidance_label, has_guidance),
            (self.strength, starts), (self.strength_label, starts),
            (self.region, has_region), (self.region_label, has_region),
        ):  # fmt: skip
            widget.setVisible(there)
        self._show_step_cache(settings)
        self._show_seed(panel)
        self._show_model(panel)
        self._show_sizes(panel)
        self._show_summary(panel)
        self.advice.setText(self.model.spec.advice if self.model.spec else "")
        self.advice.setVisible(bool(self.advice.text()))

    def _show_step_cache(self, settings: Settings) -> None:
        """In few steps there is nothing to choose: it gains nothing."""
        spec = self.model.spec
        steps = settings.steps or (spec.steps if spec else 0)
        gains = gains_from_cache(steps)
        show_number(
            self.step_cache, settings.step_cache if gains else None, "Off" if gains else f"No gain in {steps} steps"
        )
        self.step_cache.setEnabled(gains)

    def _show_seed(self, panel: Panel) -> None:
        if not self.seed.hasFocus():
            self.seed.setText(str(panel.seed) if panel.seed_locked else "")
        self.seed.setPlaceholderText("new for every run")
        self.lock.setChecked(panel.seed_locked)
        icons.dress(self.lock, "lock" if panel.seed_locked else "unlock", "on" if panel.seed_locked else "normal")

    def _fill_models(self) -> None:
        with QSignalBlocker(self.model_box):
            self.model_box.clear()
            board = self.document.board
            own = find_model(board, replace(self.panel, settings=Settings()), self.document.model)
            self.model_box.addItem(f"As the board: {own.title}", None)
            for model in library.list_installed():
                self.model_box.addItem(f"{model_title(model.name)}{' (damaged)' if model.problem else ''}", model.name)

    def _show_model(self, panel: Panel) -> None:
        wanted = panel.settings.model
        row = self.model_box.findData(wanted) if wanted else 0
        if row < 0:
            self.model_box.addItem(f"{model_title(wanted)} (not installed)", wanted)
            row = self.model_box.count() - 1
        self.model_box.setCurrentIndex(row)

    def _show_sizes(self, panel: Panel) -> None:
        spec, settings = self.model.spec, panel.settings
        self.size_box.clear()
        if spec is None:
            return
        board = self.document.board
        sides = self.model.choose(board, replace(panel, settings=replace(settings, width=None, height=None))).size
        self.size_box.addItem(f"As the board: {sides[0]} × {sides[1]}", None)
        for name in ASPECTS:
            sides = parse_size(name, spec)
            self.size_box.addItem(f"{name}: {sides[0]} × {sides[1]}", sides)
        self.size_box.addItem(CUSTOM, CUSTOM)
        if settings.width and settings.height:
            own = (settings.width, settings.height)
            row = next((i for i in range(1, self.size_box.count()) if self.size_box.itemData(i) == own), -1)
            if row < 0:
                self.size_box.insertItem(1, f"{own[0]} × {own[1]}", own)
                row = 1
            self.size_box.setCurrentIndex(row)
        self.size_field.hide()

    def _show_summary(self, panel: Panel) -> None:
        spec = self.model.spec
        parts = [self.model.title]
        if spec:
            width, height = self.model.choose(self.document.board, panel).size
            parts += [f"{width} × {height}", f"{panel.settings.steps or spec.steps} steps"]
            if panel.settings.step_cache and gains_from_cache(panel.settings.steps or spec.steps):
                parts.append(f"step cache {panel.settings.step_cache:g}")
        parts.append(f"seed {panel.seed}" if panel.seed_locked else "new seed")
        parts += [f"{one.name} {one.strength:g}" for one in name_loras(self.document.board, panel)]
        self.summary.setText(" · ".join(parts))
        self.fold.setAccessibleDescription(self.summary.text())

    def _unfold(self, on: bool) -> None:
        icons.dress(self.fold, "up" if on else "down")
        self.body.setVisible(on)
        self.summary.setVisible(not on)

    # Changing

    def _set(self, what: str, **values: object) -> None:
        settings = replace(self.panel.settings, **values)
        self.change(f"Change {what}", f"settings {what} {self.panel_id}", settings=settings)

    def _choose_model(self, row: int) -> None:
        self._set("Model", model=self.model_box.itemData(row))

    def _choose_size(self, row: int) -> None:
        wanted = self.size_box.itemData(row)
        if wanted == CUSTOM:
            self.size_field.show()
            self.size_field.setFocus()
            return
        width, height = wanted or (None, None)
        self._set("Size", width=width, height=height)

    def _type_size(self) -> None:
        text = self.size_field.text().strip()
        if not text or self.model.spec is None:
            return
        try:
            width, height = parse_size(text, self.model.spec)
        except FluxLocalError as error:
            self.document.message.emit(error.message, error.hint)
            return
        self.size_field.clear()
        self._set("Size", width=width, height=height)

    def _type_seed(self) -> None:
        text = self.seed.text().strip()
        if text:
            self._keep_seed(min(int(text), MAX_SEED))
        elif self.panel.seed_locked:
            self.change("Unlock Seed", seed_locked=False)

    def _keep_seed(self, seed: int) -> None:
        if (seed, True) != (self.panel.seed, self.panel.seed_locked):
            self.change("Change Seed", seed=seed, seed_locked=True)
        self.seed.setText(str(seed))

    def _roll_seed(self) -> None:
        self._keep_seed(secrets.randbelow(2**32))

    def _lock(self, on: bool) -> None:
        """Lock the seed of the picture that is shown, so that the next run differs only by what is changed."""
        take = self.panel.take
        if on:
            self._keep_seed(take.seed if take and take.request else self.panel.seed or secrets.randbelow(2**32))
        else:
            self.change("Unlock Seed", seed_locked=False)
            self.seed.clear()
