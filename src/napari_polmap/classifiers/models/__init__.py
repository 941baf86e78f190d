"""The models a classifier can hold, by their names on the command line."""

from __future__ import annotations

from napari_polmap.classifiers.models.base import Augment, FitProgress, Model
from napari_polmap.classifiers.models.features import PcaFeatures
from napari_polmap.classifiers.models.pca import PcaKnn, PcaLda
from napari_polmap.errors import ClassifierError

__all__ = [
    "MODELS",
    "Augment",
    "FitProgress",
    "Model",
    "PcaFeatures",
    "PcaKnn",
    "PcaLda",
    "model_class",
]

MODELS: dict[str, type[Model]] = {"pca-knn": PcaKnn, "pca-lda": PcaLda}
"""Models by their names on the command line."""


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
