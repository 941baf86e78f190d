"""Stages of long work one below the other, each with its own progress."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtWidgets import QGridLayout, QLabel, QProgressBar, QWidget

from napari_polmap.widgets.parts import duration_text


class StageBars(QWidget):
    """A progress bar for each stage.

    Parameters
    ----------
    stages : mapping of str to (str, str)
        Title and tooltip by the stage's name, in their order.
    """

    def __init__(
        self, stages: Mapping[str, tuple[str, str]], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.bars: dict[str, QProgressBar] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        for number, (stage, (title, tip)) in enumerate(stages.items()):
            label, bar = QLabel(f"{number + 1}  {title}"), QProgressBar()
            label.setToolTip(tip)
            bar.setToolTip(tip)
            grid.addWidget(label, number, 0)
            grid.addWidget(bar, number, 1)
            self.bars[stage] = bar
        self.reset()

    def reset(self) -> None:
        """Nothing is done."""
        for bar in self.bars.values():
            bar.setRange(0, 1)
            bar.setValue(0)
            bar.setFormat("")

    def show_progress(
        self, stage: str, done: int, total: int, remaining_s: float | None = None
    ) -> None:
        """How far a stage is; those before it are finished."""
        for before in self.bars:
            if before == stage:
                break
            self.finish(before)
        bar = self.bars[stage]
        bar.setRange(0, total)
        bar.setValue(done)
        left = "" if remaining_s is None else f" · {duration_text(remaining_s)} left"
        bar.setFormat(f"%p %{left}" if total else "")

    def finish(self, stage: str) -> None:
        """A stage is done."""
        bar = self.bars[stage]
        bar.setRange(0, 1)
        bar.setValue(1)
        bar.setFormat("done")

    def stop(self, stage: str) -> None:
        """A stage was stopped, where it is."""
        bar = self.bars[stage]
        if not bar.maximum():
            bar.setRange(0, 1)
            bar.setValue(0)
        bar.setFormat("stopped at %p %")
