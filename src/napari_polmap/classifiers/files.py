"""Classifier files: one ``.safetensors`` file, everything that is no array in its metadata."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from napari_polmap.classifiers.classifier import Classifier
from napari_polmap.classifiers.context import Context
from napari_polmap.classifiers.ensemble import restore_model
from napari_polmap.classifiers.models import PcaFeatures
from napari_polmap.classifiers.probabilities import ProbabilityCalibration
from napari_polmap.classifiers.reference import Reference
from napari_polmap.diffraction.preprocessing import Preprocessing
from napari_polmap.directions import DirectionSet
from napari_polmap.errors import ClassifierError, PolmapError, reason, unwritable

FORMAT = "napari-polmap classifier"
FORMAT_VERSION = 1


def save_classifier(classifier: Classifier, path: str | Path) -> Path:
    """Write a classifier to a ``.safetensors`` file.

    Raises
    ------
    ClassifierError
        If the file cannot be written.
    """
    from safetensors.numpy import save

    path = Path(path)
    reference = classifier.reference
    arrays: dict[str, np.ndarray[Any, Any]] = {
        f"model.{name}": array for name, array in classifier.model.arrays().items()
    }
    arrays |= {
        "reference.class_means": reference.class_means,
        "reference.vectors": reference.vectors.astype(np.float16),
        "reference.directions": reference.directions,
        "reference.mean": reference.mean,
        "reference.whitening": reference.whitening,
    }
    if reference.features is not None:
        arrays |= {f"reference.{n}": array for n, array in reference.features.arrays().items()}
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": classifier.name,
        "directions": classifier.directions.to_dict(),
        "preprocessing": classifier.preprocessing.to_dict(),
        "window_cells": classifier.window_cells,
        "model": {"kind": classifier.model.kind, **classifier.model.settings()},
        "calibration": classifier.calibration.to_dict(),
        "context": None if classifier.context is None else classifier.context.to_dict(),
        "threshold": classifier.threshold,
        "novelty_scale": reference.novelty_scale,
        "card": classifier.card,
    }
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    data = save(contiguous, metadata={"napari_polmap": json.dumps(header, sort_keys=True)})
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        if part.parent.is_dir():
            part.unlink(missing_ok=True)
        raise ClassifierError(unwritable(f"The classifier {path}", path, error)) from error
    return path


def read_classifier(path: str | Path) -> Classifier:
    """Read a classifier file.

    Raises
    ------
    ClassifierError
        If the file is missing, not a classifier, damaged, or of a newer version.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ClassifierError(
            f"The classifier {path} cannot be read ({reason(error)}); check the path, or list "
            "the installed ones with 'polmap classifiers'."
        ) from error
    try:
        header = _header(data)
        arrays = load(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ClassifierError(
            f"{path} is not a classifier file of napari-polmap (.safetensors), or it is damaged; "
            "choose another file, or copy it again."
        ) from error
    version = header.get("format_version", 0)
    if version > FORMAT_VERSION:
        raise ClassifierError(
            f"{path.name} was written by a newer napari-polmap (format {version}, this one reads "
            f"up to {FORMAT_VERSION}); update napari-polmap."
        )
    try:
        return _restore(header, arrays, path, hashlib.sha256(data).hexdigest())
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ClassifierError(
            f"{path.name} lacks a part that a classifier needs ({error}); train or copy it again."
        ) from error


def read_card(path: str | Path) -> dict[str, Any]:
    """The card of a classifier file, without its arrays.

    Raises
    ------
    ClassifierError
        If the file is missing or not a classifier.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            size = file.read(8)
            data = size + file.read(min(int.from_bytes(size, "little"), path.stat().st_size))
        return dict(_header(data)["card"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ClassifierError(
            f"The card of {path} cannot be read ({error}); check the file, or list the installed "
            "classifiers with 'polmap classifiers'."
        ) from error


def _header(data: bytes) -> dict[str, Any]:
    """The JSON metadata of a safetensors file: 8 bytes of length, then JSON."""
    length = int.from_bytes(data[:8], "little")
    if length > len(data):
        raise ValueError("truncated")
    header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["napari_polmap"])
    if header.get("format") != FORMAT:
        raise ValueError("another format")
    return dict(header)


def _restore(
    header: dict[str, Any], arrays: dict[str, np.ndarray[Any, Any]], path: Path, sha256: str
) -> Classifier:
    try:
        directions = DirectionSet.from_dict(header["directions"])
    except PolmapError as error:
        raise ValueError(str(error)) from error
    settings = dict(header["model"])
    model_arrays = {
        name.removeprefix("model."): array
        for name, array in arrays.items()
        if name.startswith("model.")
    }
    model = restore_model(settings.pop("kind"), directions, settings, model_arrays)
    reference = Reference(
        class_means=arrays["reference.class_means"],
        vectors=arrays["reference.vectors"].astype(np.float32),
        directions=arrays["reference.directions"],
        mean=arrays["reference.mean"],
        whitening=arrays["reference.whitening"],
        novelty_scale=float(header["novelty_scale"]),
        features=PcaFeatures(arrays["reference.projection"], arrays["reference.offset"])
        if "reference.projection" in arrays
        else None,
    )
    context = header["context"]
    return Classifier(
        name=header["name"],
        directions=directions,
        preprocessing=Preprocessing.from_dict(header["preprocessing"]),
        window_cells=float(header["window_cells"]),
        model=model,
        calibration=ProbabilityCalibration.from_dict(header["calibration"]),
        threshold=float(header["threshold"]),
        card=header["card"],
        reference=reference,
        context=None if context is None else Context.from_dict(context),
        path=path,
        sha256=sha256,
    )
