"""The models a classifier can hold, by their names on the command line."""

from __future__ import annotations

from napari_polmap.classifiers.models.base import Augment, FitProgress, Model
from napari_polmap.classifiers.models.features import PcaFeatures
from napari_polmap.classifiers.models.network import (
    Cnn,
    Network,
    ResNet18,
    ResNet50,
    Vgg11,
    Vgg16,
)
from napari_polmap.classifiers.models.parity import Parity
from napari_polmap.classifiers.models.pca import PcaKnn, PcaLda
from napari_polmap.classifiers.models.settings import OBJECTIVES
from napari_polmap.errors import ClassifierError

__all__ = [
    "DEFAULT_MODEL",
    "MODELS",
    "OBJECTIVES",
    "Augment",
    "FitProgress",
    "Model",
    "Network",
    "Parity",
    "PcaFeatures",
    "PcaKnn",
    "PcaLda",
    "model_class",
]

MODELS: dict[str, type[Model]] = {
    model.kind: model for model in (PcaKnn, PcaLda, Parity, Cnn, ResNet18, ResNet50, Vgg11, Vgg16)
}
"""Models by their names on the command line."""

DEFAULT_MODEL = Parity.kind
"""What is trained where no model is named."""


def model_class(kind: str) -> type[Model]:
    """The class of a model's name.

    Raises
    ------
    ClassifierError
        If there is no such model.
    """
    if kind not in MODELS:
        raise ClassifierError(
            f"There is no model {kind!r}; the models here are {', '.join(MODELS)}."
        )
    return MODELS[kind]
