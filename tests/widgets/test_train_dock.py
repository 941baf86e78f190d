"""The dock "Train": from a labelled data set to a classifier in the list."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from napari.components import ViewerModel
from qtpy.QtWidgets import QMessageBox

from napari_polmap import list_classifiers
from napari_polmap.classifiers import read_classifier
from napari_polmap.classifiers.models import OBJECTIVES
from napari_polmap.viewer.training_store import kept_trainings
from napari_polmap.widgets.train_dock import TrainDock
from napari_polmap.widgets.train_library import CHANGE, EVALUATION
from tests.synthetic import write_dataset
from tests.widgets.conftest import LONG, Window

RECIPE = """
[preprocessing]
size = 16
[sampling]
per_scan = 3
[validation]
folds = 2
[model.pca-lda]
odd = 10
even = 6
products = 2
[model.cnn]
epochs = {epochs}
batch = 16
patience = 400
"""


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("train"), groups=3)


@pytest.fixture(scope="session")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Small recipes: `short` for two passes, `long` for so many that it must be stopped."""
    folder = tmp_path_factory.mktemp("recipes")
    for name, epochs in (("short", 2), ("long", 400)):
        (folder / f"{name}.toml").write_text(RECIPE.format(epochs=epochs))
    return {name: str(folder / f"{name}.toml") for name in ("short", "long")}


@pytest.fixture
def dock(qtbot: Any) -> Iterator[TrainDock]:
    """The dock beside a viewer without a window."""
    viewer = ViewerModel()
    made = TrainDock(viewer)
    made.viewer_kept = viewer  # the dock itself keeps none alive
    qtbot.addWidget(made)
    made.show()
    yield made
    made.close_dock()


def prepare(dock: TrainDock, qtbot: Any, data: Path, recipe: str, model: str = "pca-lda") -> None:
    dock.take_dataset(data)
    choose(dock, model)
    dock.model_section.set_recipe(recipe)
    qtbot.waitUntil(dock.run_section.run.isEnabled, timeout=LONG)


def choose(dock: TrainDock, model: str) -> None:
    box = dock.model_section.model
    box.setCurrentText(model)
    box.activated.emit(box.currentIndex())


def finish(dock: TrainDock, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not dock.run_section.running, timeout=LONG)


def test_trained_and_chosen_in_the_other_dock(
    window: Window, data: Path, recipes: dict[str, str]
) -> None:
    train = window.viewer.window.add_plugin_dock_widget("napari-polmap", "Train")[1]
    train = getattr(train, "__wrapped__", train)
    prepare(train, window.qtbot, data, recipes["short"])
    assert "24 scans of 3 specimens, 8 directions" in train.dataset_section.counts.text()
    assert "Thickness: 20 nm" in train.dataset_section.ranges.text()
    assert train.model_section.name.placeholderText() == "synthetic-pca-lda"
    train.run_section.run.click()
    assert train.run_section.cancel.isVisible()
    finish(train, window.qtbot)
    assert "synthetic-pca-lda is in your library" in train.run_section.state.text()
    told = train.result_section.sentence.text()
    assert "of 72 patterns of specimens that it had not seen" in told
    assert window.dock.classifier_section.names.currentText() == "synthetic-pca-lda"
    assert window.session.classifier.card["preset"] == "short"
    assert train.library_section.names.currentText() == "synthetic-pca-lda"
    assert train.result_section.isVisible()
    assert set(train.result_section.report.pictures) >= {"Confusion", "Reliability"}
    assert kept_trainings() == []
    # The next one needs another name.
    assert train.model_section.name.placeholderText() == "synthetic-pca-lda-2"
    train.model_section.name.setText("synthetic-pca-lda")
    assert "is installed already" in train.run_section.problem.text()
    assert not train.run_section.run.isEnabled()


def test_a_network_is_cancelled_and_goes_on(
    dock: TrainDock, qtbot: Any, data: Path, recipes: dict[str, str]
) -> None:
    prepare(dock, qtbot, data, recipes["long"], "cnn")
    run = dock.run_section
    run.run.click()
    qtbot.waitUntil(
        lambda: run.curves.curves is not None and len(run.curves.curves.epochs) > 1, timeout=LONG
    )
    assert "loss" in run.doing.text()
    assert run.curves.isVisible()
    run.cancel.click()
    assert run.cancel.text() == "Stop at once"
    finish(dock, qtbot)
    assert "Stopped: synthetic-cnn is in your library" in run.state.text()
    (entry,) = (entry for entry in list_classifiers() if entry.name == "synthetic-cnn")
    first = len(read_classifier(entry.path).card["training"]["curves"][0]["epochs"])
    assert run.go_on.isVisible()
    assert "synthetic-cnn: cnn on dataset.toml, after" in run.offer.text()
    # A window that is closed, here with its dock, leaves what was learned.
    run.go_on.click()
    qtbot.waitUntil(
        lambda: run.curves.curves is not None and len(run.curves.curves.epochs) > first + 1,
        timeout=LONG,
    )
    dock.close_dock()
    qtbot.waitUntil(lambda: bool(kept_trainings()), timeout=LONG)
    again = TrainDock(dock.viewer_kept)
    qtbot.addWidget(again)
    again.show()
    assert again.run_section.go_on.isVisible()
    again.run_section.go_on.click()
    assert again.model_section.model.currentText() == "cnn"
    qtbot.waitUntil(
        lambda: (
            again.run_section.curves.curves is not None
            and len(again.run_section.curves.curves.epochs) > first
        ),
        timeout=LONG,
    )
    again.run_section.cancel.click()
    finish(again, qtbot)
    # In the place of what the same training had put there.
    (entry,) = (entry for entry in list_classifiers() if entry.name.startswith("synthetic-cnn"))
    assert len(read_classifier(entry.path).card["training"]["curves"][0]["epochs"]) > first
    again.run_section.discard.click()
    assert kept_trainings() == []
    assert not again.run_section.go_on.isVisible()
    again.close_dock()


def test_what_does_not_go_together_is_said(
    dock: TrainDock, qtbot: Any, data: Path, recipes: dict[str, str], tmp_path: Path
) -> None:
    section, run = dock.model_section, dock.run_section
    assert run.problem.text() == "Choose a data set first."
    prepare(dock, qtbot, data, recipes["short"])
    assert not section.objective.isEnabled()
    assert "only networks have an objective" in section.reason.text()
    assert not section.device.isVisible()
    choose(dock, "cnn")
    assert section.objective.isEnabled()
    assert section.device.isVisible()
    assert not section.weights.isVisible()
    choose(dock, "vgg11")
    assert section.weights.isVisible()
    section.seeds.setText("1, x")
    assert "'1, x' is no seed" in run.problem.text()
    section.seeds.setText("1, 2")
    assert section.vote.isVisible()
    assert run.run.isEnabled()
    (tmp_path / "bad.toml").write_text("[sampling]\npatterns = 0\n")
    section.set_recipe(str(tmp_path / "bad.toml"))
    assert "sampling.patterns" in run.problem.text()
    assert not run.run.isEnabled()
    out = tmp_path / "out.toml"
    text = data.read_text().replace('"RU"', '"OUT"').replace('path = "', f'path = "{data.parent}/')
    out.write_text(text)
    dock.take_dataset(out)
    qtbot.waitUntil(lambda: dock.dataset_section.summary is not None, timeout=LONG)
    choose(dock, "cnn")
    section.set_recipe(recipes["short"])
    regression = section.objective.model().item(OBJECTIVES.index("regression"))
    assert not regression.isEnabled()
    assert "OUT has none" in regression.toolTip()
    dock.take_dataset(tmp_path / "none.toml")
    qtbot.waitUntil(lambda: bool(dock.dataset_section.problem.text()), timeout=LONG)
    assert "cannot be read" in dock.dataset_section.problem.text()
    assert "does not serve" in run.problem.text()


def test_the_library_is_kept(
    dock: TrainDock, qtbot: Any, data: Path, classifier_file: Path, told: list[str]
) -> None:
    library = dock.library_section

    def wait(name: str) -> None:
        qtbot.waitUntil(lambda: not library.jobs.running(name), timeout=LONG)

    assert not library.rename.isEnabled(), "a bundled one"
    library.import_file(classifier_file)
    wait(CHANGE)
    assert library.names.currentText() == "synthetic"
    qtbot.waitUntil(lambda: "Voltage: 200 kV" in library.text.text(), timeout=LONG)
    library.use.click()
    qtbot.waitUntil(lambda: dock.session.classifier is not None, timeout=LONG)
    library.rename_to("mine")
    wait(CHANGE)
    qtbot.waitUntil(lambda: dock.session.classifier.path.stem == "mine", timeout=LONG)
    library.evaluate_on(data)
    wait(EVALUATION)
    assert dock.result_section.title.text() == "mine on synthetic"
    assert "labelled positions of synthetic" in dock.result_section.sentence.text()
    assert "electrons" not in dock.result_section.conditions.currentText()
    dock.result_section.save_figures(data.parent / "figures")
    assert len(list((data.parent / "figures").glob("*.svg"))) == 3
    library.remove.click()
    (question,) = library.findChildren(QMessageBox)
    assert "Remove mine" in question.text()
    next(b for b in question.buttons() if b.text() == "Remove").click()
    wait(CHANGE)
    assert "mine" not in {entry.name for entry in list_classifiers()}
    assert told == []
    library.import_file(data)
    wait(CHANGE)
    assert len(told) == 1
    assert "is not a classifier file" in told[0]


def test_a_simulated_data_set_is_handed_over(window: Window, data: Path) -> None:
    window.dock.show_make_classifier().dataset_ready.emit(data)
    docks = window.viewer.window.dock_widgets
    train = next(widget for name, widget in docks.items() if name.startswith("Train"))
    train = getattr(train, "__wrapped__", train)
    assert train.isVisible()
    window.wait(lambda: train.dataset_section.summary is not None)
    assert train.dataset_section.summary.name == "synthetic"
