"""The dock's part about drawn regions: reclassify, undo, redo, history."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QProgressBar, QWidget

from napari_polmap.widgets.parts import Section, button, row, wrapped
from napari_polmap.widgets.run_section import RunSection
from napari_polmap.widgets.runs import REGION, Runs

UNDO_KEYS, REDO_KEYS = "Ctrl+Alt+Z", "Ctrl+Alt+Shift+Z"
_HOW = "Draw shapes over the map; every shape of the layer counts."


class RegionSection(Section):
    """Reclassifies what is drawn, and lists the map's changes.

    Parameters
    ----------
    runs : Runs
    run_section : RunSection
        Gives window and force.
    """

    def __init__(self, runs: Runs, run_section: RunSection, parent: QWidget | None = None) -> None:
        super().__init__("Region and history", parent=parent)
        self.runs = runs
        self.session = runs.session
        self._run_section = run_section
        self.facts = wrapped(_HOW)
        self.add(self.facts)
        self.draw = button("Draw", "Draw a polygon over the map; double-click ends it")
        self.draw.clicked.connect(lambda: runs.controller.regions.start_drawing())
        self.reclassify = button(
            "Reclassify",
            "Classify the drawn region again with the chosen classifier and window; only there the "
            "map changes",
        )
        self.reclassify.clicked.connect(self._reclassify)
        self.undo = button("Undo", f"Take the last change back ({UNDO_KEYS})")
        self.undo.clicked.connect(runs.undo)
        self.redo = button("Redo", f"Make the change undone last again ({REDO_KEYS})")
        self.redo.clicked.connect(runs.redo)
        self.add(row(self.draw, self.reclassify))
        self.add(row(self.undo, self.redo))
        self.bar = QProgressBar()
        self.add(self.bar)
        self.history = QListWidget()
        self.history.setToolTip("Changes of the map, saved with it; undone ones are grey")
        self.history.setMaximumHeight(90)
        self.history.setSelectionMode(QListWidget.SelectionMode.NoSelection)
        self.history.setWordWrap(True)
        self.add(self.history)
        for keys, slot in ((UNDO_KEYS, runs.undo), (REDO_KEYS, runs.redo)):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
            shortcut.activated.connect(slot)
        self.refresh()

    def _reclassify(self) -> None:
        self.runs.reclassify(
            self._run_section.window.value(), force=self._run_section.force.isChecked()
        )

    def refresh(self) -> None:
        """Show region and history."""
        region, polarization_map = self.session.region, self.session.map
        count = 0 if region is None else int(np.count_nonzero(region))
        self.facts.setText(f"{count:,} positions are drawn." if count else _HOW)
        running = self.runs.running
        self.draw.setEnabled(self.session.scan_shape is not None)
        ready = None not in (polarization_map, self.session.scan, self.session.classifier)
        self.reclassify.setEnabled(ready and count > 0 and not running)
        steps = [] if polarization_map is None else polarization_map.history
        undone = 0 if polarization_map is None else polarization_map.undone
        self.undo.setEnabled(len(steps) > undone and not running)
        self.redo.setEnabled(undone > 0 and not running)
        activity = self.runs.controller.activities.get(REGION)
        self.bar.setVisible(activity is not None)
        if activity is not None:
            self.bar.setRange(0, activity.total)
            self.bar.setValue(activity.done)
        self.history.setVisible(bool(steps))
        self.history.clear()
        for number, step in enumerate(steps):
            item = QListWidgetItem(f"{number + 1}. {step.action}")
            item.setToolTip(step.time)
            if number >= len(steps) - undone:
                item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEnabled)
            self.history.addItem(item)
        self.history.scrollToBottom()
