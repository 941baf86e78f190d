"""The Simulate dock's part that runs it: estimate, folder, progress, result."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any
from weakref import ref

from napari.layers import Layer
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QTimer, QUrl, Signal
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QDoubleSpinBox, QFileDialog, QProgressBar, QSpinBox, QWidget

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.installed import INSTALL, can_simulate
from napari_polmap.simulation.run import MEMORY_MB, Progress
from napari_polmap.viewer.latest import LatestJob
from napari_polmap.viewer.reader import follow, show_dock
from napari_polmap.viewer.session import Session
from napari_polmap.viewer.simulation_results import (
    Made,
    OpenedScene,
    Outlook,
    default_jobs,
    iter_estimate,
    iter_make,
    iter_open_scene,
)
from napari_polmap.viewer.simulation_values import SimulationValues
from napari_polmap.viewer.tags import Role
from napari_polmap.widgets.arrange import put_behind
from napari_polmap.widgets.bridge import Bridge
from napari_polmap.widgets.jobs import Activity, Jobs
from napari_polmap.widgets.parts import (
    NARROW,
    ElidedLabel,
    Notice,
    Section,
    button,
    bytes_text,
    combo,
    duration_text,
    row,
    show_dialog,
    wrapped,
)

SIMULATION, OPEN = "simulation", "open scene"
_QUIET_MS = 400
_DEVICES = {"auto": "auto", "CPU": "cpu", "GPU": "cuda"}
_OTHER = "This folder holds another simulation, or files that are none; choose another folder."
_START = "Simulate in the background; what is finished is kept whatever happens"


class RunSection(Section):
    """Says what a simulation costs, runs it and opens what it made.

    Parameters
    ----------
    values : SimulationValues
    viewer : napari.Viewer
        Where scans are opened.
    """

    dataset_ready = Signal(object)
    """Path of a data set that the user wants to train on."""

    def __init__(
        self, values: SimulationValues, viewer: Any, parent: QWidget | None = None
    ) -> None:
        super().__init__("Simulate", parent=parent)
        self.values = values
        self._viewer = ref(viewer)
        self.jobs = Jobs()
        self.outlook: Outlook | None = None
        self.made: Made | None = None
        self._chosen: Path | None = None
        self._running_in: Path | None = None
        self._last: Progress | None = None
        self._bridge = Bridge()
        self.latest = LatestJob(self._bridge.deliver, "polmap-simulate-estimate")
        self._build()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_QUIET_MS)
        self._timer.timeout.connect(self._estimate)
        values.changed.connect(self._on_changed)
        self.jobs.activity_changed.connect(self.refresh)
        self.refresh()
        self._timer.start()

    def _build(self) -> None:
        self.problem = Notice()
        self.add(self.problem)
        self.cost = wrapped("", "What is left to be simulated, and what it takes on this machine")
        self.add(self.cost)
        self.folder = ElidedLabel()
        self.choose = button(
            "Folder…", "Choose where the scans, truth images and data sets are written"
        )
        self.choose.clicked.connect(self._ask_folder)
        place = row(self.folder, self.choose)
        place.setStretch(0, 1)
        self.add(place)
        self.processes = QSpinBox()
        self.processes.setRange(1, 256)
        self.processes.setValue(default_jobs())
        self.processes.setSuffix(" proc.")
        self.processes.setStyleSheet(NARROW.replace("QDoubleSpinBox", "QSpinBox"))
        self.processes.setToolTip("Processes of one thread each; on a GPU there is one")
        self.memory = QDoubleSpinBox()
        self.memory.setRange(50, 1_000_000)
        self.memory.setDecimals(0)
        self.memory.setSingleStep(500)
        self.memory.setValue(MEMORY_MB)
        self.memory.setSuffix(" MB")
        self.memory.setToolTip("Memory for the arrays of all processes together")
        self.memory.setStyleSheet(NARROW)
        self.device = combo(
            "Device: the processor, or a GPU (CUDA) through CuPy; auto takes it where there is one"
        )
        for text, name in _DEVICES.items():
            self.device.addItem(text, name)
        for changed in (self.processes.valueChanged, self.memory.valueChanged):
            changed.connect(lambda _: self._timer.start())
        self.device.activated.connect(lambda _: self._timer.start())
        self.add(row(self.processes, self.memory, self.device))
        self.run = button("Run", _START)
        self.run.setStyleSheet("font-weight: bold;")
        self.run.clicked.connect(self.start)
        self.cancel = button("Cancel", "Stop; finished runs and blocks are kept")
        self.cancel.clicked.connect(lambda: self.jobs.stop(SIMULATION))
        self.add(row(self.run, self.cancel, None))
        self.bar = QProgressBar()
        self.add(self.bar)
        self.state = Notice("info")
        self.add(self.state)
        self.scans = combo("Which of the simulated scans is opened")
        self.open = button("Open", "Open the scan with its true directions, defects and thickness")
        self.open.clicked.connect(self.open_scene)
        self.train = button(
            "Train a classifier on it", "Hand the simulated data set to the training"
        )
        self.train.clicked.connect(self._train)
        self.show_folder = button("Show the folder", "Open the folder in the file manager")
        self.show_folder.clicked.connect(self._show_folder)
        self.add(row(self.scans, self.open))
        self.add(row(self.train, self.show_folder, None))

    def close_section(self) -> None:
        """End the background work: processes go, what is finished stays."""
        self._timer.stop()
        self.values.changed.disconnect(self._on_changed, missing_ok=True)
        self.jobs.activity_changed.disconnect(self.refresh, missing_ok=True)
        self.jobs.drop_all()
        self.latest.close()

    @property
    def running(self) -> bool:
        """Whether a simulation is under way."""
        return self.jobs.running(SIMULATION)

    # Estimate

    def _on_changed(self, _: str) -> None:
        self._look_again()

    def _look_again(self) -> None:
        """Estimate anew what is left, soon."""
        self.outlook = None
        self._timer.start()
        self.refresh()

    def _estimate(self) -> None:
        if self.running:
            return
        try:
            spec = self.values.spec()
        except PolmapError as error:
            self.latest.cancel()
            self._show_problem(str(error))
            return
        options = self.processes.value(), self.device.currentData(), self.memory.value()
        chosen = self._chosen

        def steps() -> Generator[Outlook, None, None]:
            yield from iter_estimate(spec, chosen, *options)

        self.latest.submit(steps, self._show_outlook, self._failed)

    def _show_outlook(self, outlook: Outlook) -> None:
        self.outlook = outlook
        self.problem.tell([_OTHER] if outlook.state == "other" else [])
        self.refresh()

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, PolmapError):
            raise error
        self._show_problem(str(error))

    def _show_problem(self, sentence: str) -> None:
        self.outlook = None
        self.problem.tell([sentence])
        self.refresh()

    # Run

    def start(self) -> None:
        """Simulate, or go on where it was cancelled."""
        outlook = self.outlook
        if outlook is None or self.running:
            return
        try:
            spec = self.values.spec()
        except PolmapError as error:
            self._show_problem(str(error))
            return
        self.latest.cancel()
        self.made, self._last = None, None
        self._running_in = outlook.folder
        self.state.tell([])
        self.jobs.start(
            SIMULATION,
            Activity("Getting ready"),
            iter_make,
            spec,
            dict(self.values.values),
            outlook.folder,
            self.processes.value(),
            self.device.currentData(),
            self.memory.value(),
            on_steps=self._tell_progress,
            on_done=self._done,
            on_stopped=self._stopped,
            on_failed=self._broke,
        )

    def _tell_progress(self, steps: list[Progress]) -> None:
        last = self._last = steps[-1]
        left = "" if last.remaining_s is None else f", about {duration_text(last.remaining_s)} left"
        text = f"{last.done:,} of {last.total:,} positions{left}"
        self.jobs.tell(SIMULATION, Activity(text, last.done, last.total))

    def _stopped(self) -> None:
        last = self._last
        done, pieces = (0, 0) if last is None else (last.pieces_done, last.pieces)
        self.state.tell(
            [
                f"Stopped: {done:,} of {pieces:,} runs and blocks are kept in {self._running_in}.",
                '"Go on" continues from there, as long as the description stays the same.',
            ]
        )
        self._look_again()

    def _broke(self, error: Exception) -> None:
        self._look_again()
        if not isinstance(error, PolmapError):
            raise error
        show_error(str(error))

    def _done(self, made: Made) -> None:
        self.made = made
        scans = 0 if made.dataset is None else len(made.dataset.scans)
        told = f"{scans:,} scan{'s' * (scans != 1)} in {made.simulated.folder}"
        self.state.tell([sentence for sentence in (f"Done: {told}.", made.check) if sentence])
        self.scans.clear()
        if made.dataset is not None:
            for scan in made.dataset.scans:
                if scan.truth is not None:
                    self.scans.addItem(f"{scan.group}: {scan.path.name}")
        self._look_again()
        self.refresh()
        if self.scans.count():
            self.open_scene()
        elif made.simulated.datasets:
            show_info(f"The simulated data set is {made.simulated.datasets[0]}.")

    # What came of it

    def open_scene(self) -> None:
        """Open the chosen scan with its truth."""
        made = self.made
        if made is None or made.dataset is None:
            return
        self.jobs.start(
            OPEN,
            Activity("Opening the simulated scan"),
            iter_open_scene,
            made.dataset,
            max(0, self.scans.currentIndex()),
            on_done=self._show_scene,
        )

    def _show_scene(self, opened: OpenedScene) -> None:
        viewer = self._viewer()
        if viewer is None:
            return
        follow(viewer)
        dock = show_dock(viewer)
        put_behind(dock, self)
        Session.of(viewer).open(opened.scan, {Role.VIRTUAL: opened.image})
        made = [viewer.add_layer(Layer.create(*layer)) for layer in opened.layers]
        truth = [layer for layer in made if layer.visible]
        if truth:
            viewer.layers.selection.active = truth[0]
        if dock is not None:
            dock.fit_view()
        else:
            viewer.reset_view()

    def _train(self) -> None:
        if self.made is not None and self.made.simulated.datasets:
            self.dataset_ready.emit(self.made.simulated.datasets[0])

    def _show_folder(self) -> None:
        if self.made is not None:
            folder = str(self.made.simulated.folder)
            QDesktopServices.openUrl(QUrl.fromLocalFile(folder))

    # Folder

    def _ask_folder(self) -> None:
        dialog = QFileDialog(self, "Folder of the simulation")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.fileSelected.connect(lambda path: self.set_folder(Path(path)))
        show_dialog(dialog)

    def set_folder(self, folder: Path | None) -> None:
        """Choose where it is written; None for a folder of the simulation's name."""
        self._chosen = folder
        self._look_again()

    def refresh(self) -> None:
        """Show what can be done."""
        running, outlook = self.running, self.outlook
        ready = outlook is not None and outlook.state != "other" and can_simulate()
        self.run.setEnabled(ready and not running)
        begun = outlook is not None and outlook.state == "same" and outlook.left < outlook.pieces
        finished = begun and not outlook.left
        self.run.setText("Open what is there" if finished else "Go on" if begun else "Run")
        self.cancel.setVisible(running)
        self.choose.setEnabled(not running)
        for option in (self.processes, self.memory, self.device):
            option.setEnabled(not running)
        if not can_simulate():
            self.problem.tell([INSTALL])
        if outlook is not None:
            self.folder.set_full(str(outlook.folder))
            self.cost.setText(cost_text(outlook))
        elif not running:
            self.cost.setText("…" if not self.problem.text() else "")
            self.folder.set_full("" if self._chosen is None else str(self._chosen))
        activity = self.jobs.activities.get(SIMULATION)
        self.bar.setVisible(activity is not None)
        if activity is not None:
            self.bar.setRange(0, activity.total)
            self.bar.setValue(activity.done)
            self.bar.setFormat(activity.text)
        there = self.made is not None and not running
        scene = there and self.scans.count() > 0
        self.scans.setVisible(scene)
        self.open.setVisible(scene)
        datasets = there and self.made is not None and bool(self.made.simulated.datasets)
        self.train.setVisible(datasets and not scene)
        self.show_folder.setVisible(there)


def cost_text(outlook: Outlook) -> str:
    """What a simulation costs, for people."""
    cost = outlook.estimate
    if not outlook.left:
        return "Everything is simulated already."
    what = f"{cost.scans:,} scans, " if cost.scans else ""
    grid = f"{cost.gpts[0]} × {cost.gpts[1]}"
    memory, disk = bytes_text(cost.memory_mb * 1e6), bytes_text(cost.disk_mb * 1e6)
    time = "being measured…" if cost.seconds is None else f"about {duration_text(cost.seconds)}"
    if outlook.left < outlook.pieces:
        time += f"; {outlook.pieces - outlook.left:,} of {outlook.pieces:,} runs and blocks done"
    lines = (
        f"Time: {time}",
        f"{what}{cost.positions:,} positions, grid {grid}, up to {cost.slices} slices",
        f"Memory up to {memory}; {disk} on disk before compression",
    )
    return "\n".join(lines)
