"""The Simulate dock's part that makes a classifier for the open scan in one go."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any
from weakref import ref

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_polmap.errors import PolmapError
from napari_polmap.mapping.make_classifier import (
    Made,
    MakeProgress,
    figures_text,
    iter_make_classifier,
)
from napari_polmap.scan import Scan
from napari_polmap.simulation.installed import INSTALL, can_simulate
from napari_polmap.simulation.run import MEMORY_MB
from napari_polmap.viewer.latest import LatestJob
from napari_polmap.viewer.making import MakingOutlook, iter_outlook, taken_text
from napari_polmap.viewer.session import Session
from napari_polmap.viewer.simulation_results import default_jobs
from napari_polmap.widgets.arrange import dock_of, open_over
from napari_polmap.widgets.bridge import Bridge
from napari_polmap.widgets.jobs import Activity, Jobs
from napari_polmap.widgets.make_classifier_form import MakeClassifierForm
from napari_polmap.widgets.parts import (
    ElidedLabel,
    Notice,
    Section,
    button,
    bytes_text,
    connect_while,
    duration_text,
    row,
    show_dialog,
    wrapped,
)
from napari_polmap.widgets.runs import MAP, RunSettings
from napari_polmap.widgets.stage_bars import StageBars

MAKING = "make classifier"
_QUIET_MS = 400
_STAGES = {
    "simulate": ("Simulate", "Specimens of the material, as this microscope would see them"),
    "train": ("Train", "The classifier, on the specimens for training"),
    "test": ("Test", "It on specimens that it has never seen"),
    "classify": ("Map", "The open scan, with the new classifier"),
}
_NO_SCAN = "Open a scan first: voltage, semi-angle, step and lattice are taken from it."


class MakeClassifierSection(Section):
    """Takes what the open scan tells, asks for the rest, and makes a classifier for it.

    Parameters
    ----------
    viewer : napari.Viewer
    described : callable
        Gives the values of the description that the dock shows below.
    fill : callable
        Shows other values there.
    """

    def __init__(
        self,
        viewer: Any,
        described: Callable[[], Mapping[str, Any]],
        fill: Callable[[Mapping[str, Any]], object],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__("Make a classifier for this scan", open_=False, parent=parent)
        self._viewer = ref(getattr(viewer, "__wrapped__", viewer))
        self.session = Session.of(viewer)
        self._fill = fill
        self.form = MakeClassifierForm(described)
        self.stages = StageBars(_STAGES)
        self.jobs = Jobs()
        self.processes = default_jobs()
        self.outlook: MakingOutlook | None = None
        self.made: Made | None = None
        self._chosen: Path | None = None
        self._stage = ""
        self._scan: Scan | None = None
        """Whose classifier is being made."""
        self._mapping: Any = None
        """The runs of the dock that makes the map."""
        self._bridge = Bridge()
        self.latest = LatestJob(self._bridge.deliver, "polmap-make-classifier")
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_QUIET_MS)
        self._timer.timeout.connect(self._look)
        self._build()
        connect_while(
            self,
            [
                (self.session.scan_changed, self._changed),
                (self.session.scan_opened, self._on_opened),
                (self.jobs.activity_changed, self.refresh),
            ],
        )
        self.header.toggled.connect(lambda _: self._timer.start())
        self.refresh()
        self.header.setChecked(self.session.scan is not None)

    def _build(self) -> None:
        self.taken = wrapped("", "What is taken from the scan; the Calibration dock changes it")
        self.calibrate = button("Calibration…", "Open the dock where these values are entered")
        self.calibrate.clicked.connect(lambda: open_over(self._viewer(), "Calibration", self))
        line = row(self.taken, self.calibrate)
        line.setStretch(0, 1)
        self.add(line)
        self.problem = Notice()
        self.add(self.problem)
        self.form.changed.connect(self._changed)
        self.add(self.form)
        self.cost = wrapped("", "What is left to be made, and what it takes on this machine")
        self.add(self.cost)
        self.folder = ElidedLabel()
        self.choose = button("Folder…", "Choose where everything is kept")
        self.choose.clicked.connect(self._ask_folder)
        place = row(self.folder, self.choose)
        place.setStretch(0, 1)
        self.add(place)
        self.make = button("Make", "")
        self.make.setStyleSheet("font-weight: bold;")
        self.make.clicked.connect(self.start)
        self.cancel = button("Cancel", "Stop; what is finished is kept, and can be gone on with")
        self.cancel.clicked.connect(self.stop)
        self.show_values = button(
            "Show below", "Fill the description below with what is going to be simulated"
        )
        self.show_values.clicked.connect(self._show_values)
        self.add(row(self.make, self.cancel, None, self.show_values))
        self.add(self.stages)
        self.state = Notice("info")
        self.add(self.state)

    def close_section(self) -> None:
        """End the background work: processes go, what is finished stays."""
        self._timer.stop()
        self.jobs.drop_all()
        self.latest.close()
        self._follow(None)

    @property
    def running(self) -> bool:
        """Whether a classifier is being made."""
        return self.jobs.running(MAKING)

    # What is going to be made

    def _changed(self, *_: object) -> None:
        if not self.running:
            self.outlook = self.made = None
            self._timer.start()
            self.refresh()

    def _on_opened(self) -> None:
        self._scan = None
        self.made = None
        self._follow(None)
        if not self.running:
            self.stages.reset()
            self.state.tell([])

    def _look(self) -> None:
        """Find out what it takes, in the background; only where it can be seen."""
        scan = self.session.scan
        if self.running or scan is None or not self.header.isChecked():
            return
        wish, folder, jobs = self.form.wish(), self._chosen, self.processes

        def steps() -> Generator[MakingOutlook, None, None]:
            yield from iter_outlook(scan, wish, folder, jobs=jobs, memory_mb=MEMORY_MB)

        self.latest.submit(steps, self._take_outlook, self._cannot)

    def _take_outlook(self, outlook: MakingOutlook) -> None:
        self.outlook = outlook
        self.problem.tell([] if can_simulate() else [INSTALL])
        self.refresh()

    def _cannot(self, error: Exception) -> None:
        if not isinstance(error, PolmapError):
            raise error
        self.outlook = None
        self.problem.tell([str(error)])
        self.refresh()

    def _show_values(self) -> None:
        if self.outlook is None:
            return
        try:
            self._fill(self.outlook.values)
        except PolmapError as error:
            show_error(str(error))

    def _ask_folder(self) -> None:
        dialog = QFileDialog(self, "Folder for the simulation and the classifier")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.fileSelected.connect(lambda path: self.set_folder(Path(path)))
        show_dialog(dialog)

    def set_folder(self, folder: Path | None) -> None:
        """Choose where everything is kept; None for a folder of the simulation's name."""
        self._chosen = folder
        self._changed()

    # Making it

    def start(self) -> None:
        """Make the classifier, or go on where that was cancelled."""
        scan, outlook = self.session.scan, self.outlook
        if scan is None or outlook is None or self.running:
            return
        self.latest.cancel()
        self._follow(None)
        self.stages.reset()
        self.state.tell([])
        self.made, self._scan, self._stage = None, scan, "simulate"
        values, folder, jobs = outlook.values, outlook.folder, self.processes

        def steps() -> Generator[MakeProgress, None, Made]:
            return (
                yield from iter_make_classifier(
                    scan, values, folder, jobs=jobs, memory_mb=MEMORY_MB, classify=False
                )
            )

        self.jobs.start(
            MAKING,
            Activity("Making a classifier"),
            steps,
            on_steps=self._tell_progress,
            on_done=self._done,
            on_stopped=self._stopped,
            on_failed=self._broke,
        )

    def stop(self) -> None:
        """Stop what is under way; what is finished is kept."""
        self.jobs.stop(MAKING)
        if self._mapping is not None:
            self._mapping.cancel()

    def _tell_progress(self, steps: list[MakeProgress]) -> None:
        last = steps[-1]
        self._stage = last.stage
        self.stages.show_progress(last.stage, last.done, last.total, last.remaining_s)

    def _done(self, made: Made) -> None:
        self.made = made
        for stage in ("simulate", "train", "test"):
            self.stages.finish(stage)
        name = made.classifier.name
        self.state.tell([f"{name} is in your library.", figures_text(made.figures)])
        self._timer.start()
        self._map(made)

    def _map(self, made: Made) -> None:
        """Choose the classifier and classify the scan, as the dock "Polarization map" does."""
        own = dock_of(self)
        dock: Any = open_over(self._viewer(), "Polarization map", self)
        if dock is None:
            return
        if own is not None:
            # The last stage, and what the test showed, are told here.
            own.raise_()
        dock.classifier_section.list_classifiers()
        dock.classifier_section.refresh()
        if self._scan is None or self.session.scan is None:
            show_info(f"The classifier {made.classifier.name} is made; another scan is open now.")
            return
        self.session.set_classifier(made.classifier)
        if dock.runs.running:
            show_info("A map is being computed; run the new classifier when that is done.")
            return
        self._follow(dock.runs)
        dock.runs.run(RunSettings(window_cells=made.classifier.window_cells))

    def _follow(self, runs: Any) -> None:
        """Show how the run of a map goes on, of this one only."""
        if self._mapping is not None:
            self._mapping.run_changed.disconnect(self._on_run, missing_ok=True)
        self._mapping = runs
        if runs is not None:
            runs.run_changed.connect(self._on_run)

    def _on_run(self) -> None:
        runs = self._mapping
        activity = None if runs is None else runs.controller.activities.get(MAP)
        if activity is not None:
            self.stages.show_progress("classify", activity.done, activity.total)
        elif runs is not None:
            polarization_map = self.session.map
            if polarization_map is not None and polarization_map.complete:
                self.stages.finish("classify")
            else:
                self.stages.stop("classify")
            self._follow(None)
        self.refresh()

    def _stopped(self) -> None:
        self.stages.stop(self._stage)
        told = 'Stopped; what is finished is kept, and "Go on" continues from there.'
        self.state.tell([told])
        self._timer.start()

    def _broke(self, error: Exception) -> None:
        self.stages.stop(self._stage)
        self._timer.start()
        if not isinstance(error, PolmapError):
            raise error
        show_error(str(error))

    # Showing it

    def refresh(self) -> None:
        """Show what can be done."""
        scan, outlook = self.session.scan, self.outlook
        at_work = self.running or self._mapping is not None
        self.taken.setText(_NO_SCAN if scan is None else taken_text(scan.calibration))
        self.calibrate.setVisible(scan is not None)
        if scan is None or outlook is not None:
            self.problem.tell([] if can_simulate() else [INSTALL])
        free = not at_work and self.made is None
        self.make.setEnabled(outlook is not None and can_simulate() and free)
        begun = outlook is not None and outlook.begun
        self.make.setText("Go on" if begun else "Make")
        self.make.setToolTip(
            "It is made: change something above to make another"
            if self.made is not None
            else "Simulate, train, test and map, one after the other, in the background"
        )
        self.cancel.setVisible(at_work)
        self.show_values.setEnabled(outlook is not None)
        for field in (self.form, self.choose):
            field.setEnabled(scan is not None and not self.running)
        if outlook is not None:
            self.folder.set_full(str(outlook.folder))
            self.cost.setText(outlook_text(outlook))
        elif not self.running:
            self.cost.setText("" if scan is None or self.problem.text() else "…")


def outlook_text(outlook: MakingOutlook) -> str:
    """What the making of a classifier costs, for people."""
    cost = outlook.estimate
    if not cost.positions:
        return "Everything is simulated."
    time = "measuring the time…"
    if outlook.seconds is not None:
        time = f"about {duration_text(outlook.seconds)}"
    return (
        f"Time: {time}\n{cost.scans:,} scans, {cost.positions:,} positions to be simulated; up to "
        f"{bytes_text(cost.memory_mb * 1e6)} of memory, {bytes_text(cost.disk_mb * 1e6)} on disk"
    )
