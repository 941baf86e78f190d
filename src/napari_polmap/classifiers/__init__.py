"""Classifiers: models with their preprocessing, window, calibration and card; training, files."""

from napari_polmap.classifiers.classifier import Classifier
from napari_polmap.classifiers.files import read_classifier, save_classifier
from napari_polmap.classifiers.library import (
    Entry,
    add_classifier,
    list_classifiers,
    load_classifier,
    remove_classifier,
    rename_classifier,
)
from napari_polmap.classifiers.predictor import BlockPrediction, Halo
from napari_polmap.classifiers.recipes import PRESETS, Recipe, read_recipe, recipe_from
from napari_polmap.classifiers.training import iter_train, train
from napari_polmap.classifiers.training_progress import Curves, TrainingProgress

__all__ = [
    "PRESETS",
    "BlockPrediction",
    "Classifier",
    "Curves",
    "Entry",
    "Halo",
    "Recipe",
    "TrainingProgress",
    "add_classifier",
    "iter_train",
    "list_classifiers",
    "load_classifier",
    "read_classifier",
    "read_recipe",
    "recipe_from",
    "remove_classifier",
    "rename_classifier",
    "save_classifier",
    "train",
]
