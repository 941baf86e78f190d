"""The Train dock's part that trains: start, progress, curves, cancel, go on."""

from __future__ import annotations

import threading
from collections.abc import Callable

from napari.utils.notifications import show_error
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QProgressBar, QWidget

from napari_polmap.classifiers import TrainingProgress
from napari_polmap.errors import PolmapError, TrainingStoppedError
from napari_polmap.viewer.training import Choices
from napari_polmap.viewer.training_jobs import Trained, iter_training
from napari_polmap.viewer.training_store import KeptTraining, begin_training, kept_trainings
from napari_polmap.widgets.jobs import Activity, Jobs
from napari_polmap.widgets.parts import (
    Notice,
    Section,
    button,
    connect_while,
    duration_text,
    row,
    wrapped,
)
from napari_polmap.widgets.train_curves import CurvesView

TRAINING = "training"
_START = "Train in the background; the classifier then is in your library under its name"
_CANCEL = "Stop learning and keep the best so far"
_AT_ONCE = "Stop at once; only what a network has learned is kept, to go on with"


class TrainRunSection(Section):
    """Runs one training at a time, and offers to go on with those that were interrupted.

    Parameters
    ----------
    choices : callable
        Gives what is chosen; raises a `PolmapError` that says what is missing.
    """

    trained = Signal(object)
    """`Trained`, in the library by now."""
    taken_up = Signal(object)
    """`Choices` of the training that is gone on with."""

    def __init__(self, choices: Callable[[], Choices], parent: QWidget | None = None) -> None:
        super().__init__("Training", parent=parent)
        self._choices = choices
        self.jobs = Jobs()
        self.kept: list[KeptTraining] = []
        self._stop = threading.Event()
        self._build()
        connect_while(self, [(self.jobs.activity_changed, self.refresh)])
        self.look_for_kept()

    def _build(self) -> None:
        self.offer = Notice("info")
        self.add(self.offer)
        self.go_on = button("Go on", "Train on from where it was stopped, with the same choices")
        self.go_on.clicked.connect(self.resume)
        self.discard = button("Discard", "Delete what is kept of this training")
        self.discard.clicked.connect(self._discard)
        self.add(row(self.go_on, self.discard, None))
        self.problem = wrapped()
        self.add(self.problem)
        self.run = button("Start", _START)
        self.run.setStyleSheet("font-weight: bold;")
        self.run.clicked.connect(self.start)
        self.cancel = button("Cancel", _CANCEL)
        self.cancel.clicked.connect(self.stop)
        self.add(row(self.run, self.cancel, None))
        self.doing = wrapped("", "What is being done")
        self.add(self.doing)
        self.bar = QProgressBar()
        self.add(self.bar)
        self.curves = CurvesView()
        self.curves.hide()
        self.add(self.curves)
        self.state = Notice("info")
        self.add(self.state)

    def close_section(self) -> None:
        """End the training; what a network has learned is kept to go on with."""
        self.jobs.activity_changed.disconnect(self.refresh, missing_ok=True)
        self.jobs.drop_all()

    @property
    def running(self) -> bool:
        """Whether a training is under way."""
        return self.jobs.running(TRAINING)

    # Running

    def start(self) -> None:
        """Begin a training with what is chosen."""
        if self.running:
            return
        try:
            begun = begin_training(self._choices())
        except PolmapError as error:
            show_error(str(error))
            return
        self._run(begun)

    def resume(self) -> None:
        """Go on with the training that is offered."""
        if self.running or not self.kept:
            return
        self.taken_up.emit(self.kept[0].choices)
        self._run(self.kept[0])

    def _run(self, training: KeptTraining) -> None:
        self._stop = threading.Event()
        self.state.tell([])
        self.curves.show_curves(None)
        self.curves.setVisible(training.choices.by_epochs)
        self.cancel.setText("Cancel")
        self.cancel.setToolTip(_CANCEL)
        self.jobs.start(
            TRAINING,
            Activity("getting ready"),
            iter_training,
            training,
            self._stop.is_set,
            on_steps=self._tell_progress,
            on_done=self._done,
            on_stopped=self._ended_at_once,
            on_failed=self._broke,
        )

    def stop(self) -> None:
        """End with the best so far; asked again, at once."""
        if self._stop.is_set():
            self.jobs.stop(TRAINING)
            return
        self._stop.set()
        self.cancel.setText("Stop at once")
        self.cancel.setToolTip(_AT_ONCE)
        self.refresh()

    def _tell_progress(self, steps: list[TrainingProgress]) -> None:
        last = steps[-1]
        left = last.remaining_s
        text = "%p %" if left is None else f"%p % · about {duration_text(left)} left"
        self.bar.setFormat(text)
        self.curves.show_curves(last.curves)
        self.jobs.tell(TRAINING, Activity(last.message, last.done, last.total))

    def _done(self, trained: Trained) -> None:
        name = trained.classifier.name
        told = f"{name} is in your library; how good it is stands below."
        if trained.kept is not None:
            told = f"Stopped: {name} is in your library, as good as it was until then."
        self.state.tell([told])
        self.look_for_kept()
        self.trained.emit(trained)

    def _ended_at_once(self) -> None:
        self.look_for_kept()
        kept = ' What was learned is kept; "Go on" continues from there.' if self.kept else ""
        self.state.tell([f"Stopped.{kept}"])

    def _broke(self, error: Exception) -> None:
        self.look_for_kept()
        if isinstance(error, TrainingStoppedError):
            self.state.tell([str(error)])
        elif isinstance(error, PolmapError):
            show_error(str(error))
        else:
            raise error

    # What was interrupted

    def look_for_kept(self) -> None:
        """Look whether there is something to go on with."""
        self.kept = [] if self.running else kept_trainings()
        self.refresh()

    def _discard(self) -> None:
        if self.kept:
            self.kept[0].discard()
        self.look_for_kept()

    def refresh(self) -> None:
        """Show what can be done."""
        running = self.running
        offered = bool(self.kept) and not running
        more = f" ({len(self.kept) - 1} more after it)" if len(self.kept) > 1 else ""
        told = f"A training was not finished{more}: " + self.kept[0].sentence() if offered else ""
        self.offer.tell([told] if told else [])
        self.go_on.setVisible(offered)
        self.discard.setVisible(offered)
        missing = ""
        if not running:
            try:
                self._choices()
            except PolmapError as error:
                missing = str(error)
        self.problem.setText(missing)
        self.problem.setVisible(bool(missing))
        self.run.setEnabled(not running and not missing)
        self.cancel.setVisible(running)
        activity = self.jobs.activities.get(TRAINING)
        self.doing.setVisible(running)
        self.bar.setVisible(running)
        if activity is not None:
            stopping = "Stopping: " if self._stop.is_set() else ""
            self.doing.setText(stopping + activity.text)
            self.bar.setRange(0, activity.total)
            self.bar.setValue(activity.done)
