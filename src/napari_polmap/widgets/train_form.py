"""The Train dock's part that chooses what learns: model, objective, recipe, seeds, name."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtGui import QStandardItemModel
from qtpy.QtWidgets import QFileDialog, QGridLayout, QLabel, QLineEdit, QSpinBox, QWidget

from napari_polmap.classifiers.model_settings import learns_by_epochs
from napari_polmap.classifiers.models import DEFAULT_MODEL, MODELS, OBJECTIVES
from napari_polmap.classifiers.models.settings import DEVICES
from napari_polmap.classifiers.recipes import PRESETS
from napari_polmap.errors import DatasetError
from napari_polmap.viewer.training import (
    Choices,
    DatasetSummary,
    check_new_name,
    objective_reasons,
    seeds_from,
    suggested_name,
)
from napari_polmap.widgets.parts import Section, button, combo, show_dialog, wrapped

_FROM_FILE = "From a file…"
_TOML = "TOML files (*.toml)"
_WEIGHTS = "Begin from weights…"
_WEIGHT_FILES = "Weights (*.pt *.pth *.safetensors);;All files (*)"
_WITH_WEIGHTS = tuple(kind for kind in MODELS if kind.startswith(("resnet", "vgg")))
"""Architectures that torchvision has weight files of."""
_ABOUT_MODELS = {
    "pca-knn": "principal components and nearest neighbors, as in the paper; seconds to minutes",
    "pca-lda": "principal components and linear discriminants; seconds to minutes",
    "parity": "our own network: small, symmetric by construction; minutes on a processor",
    "cnn": "the paper's own network; minutes to an hour on a processor",
    "resnet18": "ResNet-18; better on a GPU",
    "resnet50": "ResNet-50, as in the paper; for a GPU",
    "vgg11": "VGG-11; for a GPU",
    "vgg16": "VGG-16, as in the paper; for a GPU",
}
_ABOUT_OBJECTIVES = {
    "classification": "a class each (cross-entropy)",
    "regression": "the direction as a vector; the class is the nearest angle",
    "prototype": "distances to class means, neighboring directions being alike",
}
_ABOUT_PRESETS = {
    "robust": "ours: windows, noise by dose, errors of the calibration, symmetry",
    "paper": "single patterns as Martinc et al. (2026) prepare them",
    "nanobeam": "ours for disks that do not overlap, at any step: single patterns",
}
_DEVICES = {"auto": "auto", "cpu": "processor (CPU)", "cuda": "GPU (CUDA)"}
_VOTES = {"the recipe's": None, "mean probability": "mean", "majority vote": "majority"}


class ModelSection(Section):
    """Chooses what learns, and how."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Classifier to train", parent=parent)
        self._summary: DatasetSummary | None = None
        self._recipe_file: str | None = None
        self._weights: str | None = None
        self._build()
        self.refresh()

    def _build(self) -> None:
        self.model = combo("What learns")
        self.model.addItems(list(MODELS))
        self.model.setCurrentText(DEFAULT_MODEL)
        self.about = wrapped()
        self.objective = combo("What a network learns to tell")
        self.objective.addItems(OBJECTIVES)
        self.reason = wrapped()
        self.preset = combo(
            "How patterns are prepared, sampled and changed for training: robust (ours), paper "
            "(Martinc et al. 2026), nanobeam (disks that do not overlap), or a recipe of your own"
        )
        for name in PRESETS:
            self.preset.addItem(name)
        self.preset.addItem(_FROM_FILE)
        self.about_recipe = wrapped()
        self.seeds = QLineEdit("0")
        self.seeds.setToolTip(
            "Same seed, same classifier; several, such as 888, 1212, make an ensemble of as many "
            "models"
        )
        self.vote = combo("How an ensemble speaks")
        for text, vote in _VOTES.items():
            self.vote.addItem(text, vote)
        self.name = QLineEdit()
        self.name.setToolTip("Name in your library of classifiers")
        self.device = combo("Where a network learns; auto takes a GPU where there is one")
        for name in DEVICES:
            self.device.addItem(_DEVICES[name], name)
        self.most = QSpinBox()
        self.most.setRange(0, 10_000_000)
        self.most.setSingleStep(1000)
        self.most.setGroupSeparatorShown(True)
        self.most.setSpecialValueText("as the recipe")
        self.most.setToolTip("Patterns drawn from all scans together at most")
        self.weights = button(_WEIGHTS, "A file of weights that a network begins from")
        self.weights.clicked.connect(self._toggle_weights)
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        self._lines: dict[str, tuple[QWidget, ...]] = {}
        lines: list[tuple[str, str, QWidget]] = [
            ("model", "Model", self.model),
            ("about", "", self.about),
            ("objective", "Objective", self.objective),
            ("reason", "", self.reason),
            ("preset", "Recipe", self.preset),
            ("about_recipe", "", self.about_recipe),
            ("seeds", "Seeds", self.seeds),
            ("vote", "Ensemble", self.vote),
            ("most", "Patterns at most", self.most),
            ("device", "Device", self.device),
            ("weights", "", self.weights),
            ("name", "Name", self.name),
        ]
        for number, (key, text, widget) in enumerate(lines):
            label = QLabel(text)
            label.setToolTip(widget.toolTip())
            grid.addWidget(label, number, 0)
            grid.addWidget(widget, number, 1)
            self._lines[key] = (label, widget)
        self.add(grid)
        self.model.activated.connect(self._tell)
        self.objective.activated.connect(self._tell)
        self.preset.activated.connect(self._take_preset)
        self.seeds.textChanged.connect(self._tell)
        self.name.textChanged.connect(self._tell)

    def take_summary(self, summary: DatasetSummary | None) -> None:
        """Know the data set."""
        self._summary = summary
        self.refresh()

    def fill(self, choices: Choices) -> None:
        """Show other choices."""
        blockers = [QSignalBlocker(part) for part in (self.seeds, self.name)]
        self.model.setCurrentText(choices.model)
        self.objective.setCurrentText(choices.objective)
        self._recipe_file, self._weights = choices.recipe_file, choices.weights
        by_file = choices.recipe_file is not None
        self.preset.setCurrentText(_FROM_FILE if by_file else choices.preset)
        self.seeds.setText(", ".join(map(str, choices.seeds)))
        self.vote.setCurrentIndex(max(0, self.vote.findData(choices.vote)))
        self.device.setCurrentIndex(max(0, self.device.findData(choices.device)))
        self.most.setValue(choices.max_patterns or 0)
        self.name.setText(choices.name)
        del blockers
        self.refresh()

    def choices(self, dataset: Path) -> Choices:
        """What is chosen, checked.

        Raises
        ------
        PolmapError
            If something is missing or not possible.
        """
        model = self.model.currentText()
        by_epochs = learns_by_epochs([model])
        seeds = seeds_from(self.seeds.text())
        by_file = self.preset.currentText() == _FROM_FILE
        if by_file and self._recipe_file is None:
            raise DatasetError("No recipe is chosen; choose a TOML file, or a preset.")
        objective = self.objective.currentText() if by_epochs else OBJECTIVES[0]
        directions = None if self._summary is None else self._summary.directions
        told = objective_reasons(model, directions)[objective]
        if told:
            raise DatasetError(told)
        name = self.name.text().strip() or self.name.placeholderText()
        check_new_name(name)
        chosen = Choices(
            dataset=str(dataset),
            name=name,
            model=model,
            objective=objective,
            preset=next(iter(PRESETS)) if by_file else self.preset.currentText(),
            recipe_file=self._recipe_file if by_file else None,
            seeds=seeds,
            vote=self.vote.currentData() if len(seeds) > 1 else None,
            weights=self._weights if model in _WITH_WEIGHTS else None,
            device=self.device.currentData(),
            max_patterns=self.most.value() if self.most.value() > 1 else None,
        )
        chosen.recipe()
        return chosen

    def _take_preset(self, *_: object) -> None:
        if self.preset.currentText() == _FROM_FILE:
            dialog = QFileDialog(self, "Recipe", "", _TOML)
            dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
            dialog.fileSelected.connect(self.set_recipe)
            show_dialog(dialog)
        self._tell()

    def set_recipe(self, path: str) -> None:
        """Take the recipe of a file."""
        self._recipe_file = path
        self.preset.setCurrentText(_FROM_FILE)
        self._tell()

    def _toggle_weights(self) -> None:
        if self._weights is not None:
            self.set_weights(None)
            return
        dialog = QFileDialog(self, "Weights", "", _WEIGHT_FILES)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self.set_weights)
        show_dialog(dialog)

    def set_weights(self, path: str | None) -> None:
        """Begin from the weights of a file, or from none."""
        self._weights = path
        self._tell()

    def _tell(self, *_: object) -> None:
        self.refresh()
        self.changed.emit()

    def refresh(self) -> None:
        """Show what goes together."""
        model, summary = self.model.currentText(), self._summary
        by_epochs = learns_by_epochs([model])
        self.about.setText(_ABOUT_MODELS.get(model, ""))
        reasons = objective_reasons(model, None if summary is None else summary.directions)
        items = self.objective.model()
        assert isinstance(items, QStandardItemModel)
        for place, name in enumerate(OBJECTIVES):
            items.item(place).setEnabled(not reasons[name])
            items.item(place).setToolTip(reasons[name] or _ABOUT_OBJECTIVES[name])
        if not by_epochs:
            self.objective.setCurrentIndex(0)
        self.objective.setEnabled(by_epochs)
        chosen = self.objective.currentText()
        refused = next((told for told in reasons.values() if told), "")
        about = reasons[chosen] or (_ABOUT_OBJECTIVES[chosen] if by_epochs else "")
        self.reason.setText(about or refused)
        name = model if summary is None else suggested_name(summary.name, model)
        self.name.setPlaceholderText(name)
        file = "no file is chosen" if self._recipe_file is None else Path(self._recipe_file).name
        preset = self.preset.currentText()
        self.about_recipe.setText(file if preset == _FROM_FILE else _ABOUT_PRESETS.get(preset, ""))
        begun = self._weights is not None
        self.weights.setText(f"Without {Path(self._weights or '').name}" if begun else _WEIGHTS)
        for key, visible in (
            ("vote", "," in self.seeds.text()),
            ("device", by_epochs),
            ("weights", model in _WITH_WEIGHTS),
            ("about_recipe", bool(self.about_recipe.text())),
        ):
            for widget in self._lines[key]:
                widget.setVisible(visible)
