"""A small real classifier."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_polmap.classifiers import Classifier
from tests.synthetic import train_quick, write_dataset


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TOML file of labelled synthetic scans."""
    return write_dataset(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """Trained on synthetic scans."""
    return train_quick(tmp_path_factory.mktemp("classifier"))
