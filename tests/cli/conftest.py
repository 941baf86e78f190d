from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from napari_polmap.cli import app
from tests.synthetic import (
    CELL,
    STEP_NM,
    make_patterns,
    train_quick,
    two_domains,
    write_dataset,
)

Polmap = Callable[..., Result]


@pytest.fixture
def polmap() -> Polmap:
    """Run a command in this process; bugs raise."""
    runner = CliRunner(env={"COLUMNS": "200", "TERM": "dumb"})

    def run(*arguments: object) -> Result:
        return runner.invoke(app, [str(a) for a in arguments], catch_exceptions=False)

    return run


@pytest.fixture(scope="session")
def calibration() -> list[str]:
    """What the file of the synthetic scan does not tell."""
    return [
        *("--step", str(STEP_NM)),
        *("--lattice", str(STEP_NM * CELL)),
        *("--energy", "200"),
        *("--semi-angle", "24"),
        *("--center", "15.6,15.2"),
        *("--radius", "9"),
    ]


@pytest.fixture(scope="session")
def labels() -> np.ndarray:
    return two_domains((32, 48))


@pytest.fixture(scope="session")
def scan_file(tmp_path_factory: pytest.TempPathFactory, labels: np.ndarray) -> Path:
    path = tmp_path_factory.mktemp("scan") / "wall.npy"
    np.save(path, make_patterns(labels, dose=20000))
    return path


@pytest.fixture(scope="session")
def classifier_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from napari_polmap.classifiers import save_classifier

    folder = tmp_path_factory.mktemp("classifier")
    path = folder / "synthetic.safetensors"
    save_classifier(train_quick(folder / "training"), path)
    return path


@pytest.fixture(scope="session")
def dataset_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("dataset"), groups=1)


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty library of the user's own classifiers."""
    folder = tmp_path / "library"
    monkeypatch.setenv("POLMAP_CLASSIFIERS", str(folder))
    return folder
