"""Calibrations are kept in the background once they rest."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from napari_polmap.io.scans import load_scan
from napari_polmap.io.sidecar import sidecar_path
from napari_polmap.scan import Scan
from napari_polmap.viewer.keeper import Keeper
from napari_polmap.viewer.session import Session


class _Kept:
    def __init__(self) -> None:
        self.session, self.told = Session(), []
        self.written = threading.Event()
        self.keeper = Keeper(self.session, lambda call: call(), self.told.append)
        self.keeper.kept.connect(lambda _: self.written.set())


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Kept]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "user"))
    made = _Kept()
    yield made
    made.keeper.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "scan.npy"
    np.save(path, np.random.default_rng(0).poisson(3, (4, 5, 16, 16)).astype(np.uint8))
    return path


def test_changes_in_a_row_are_written_once(kept: _Kept, path: Path) -> None:
    kept.session.open(load_scan(path, measure=False))
    for step in (0.1, 0.2, 0.3):
        kept.session.set_calibration(step_nm=step)
    assert not sidecar_path(path).exists()
    assert kept.written.wait(10)
    assert load_scan(path, measure=False).calibration.step_nm == 0.3
    assert not kept.keeper.waiting


def test_opening_another_scan_keeps_what_waits(kept: _Kept, path: Path) -> None:
    kept.session.open(load_scan(path, measure=False))
    kept.session.set_calibration(step_nm=0.1)
    kept.session.open(Scan(np.ones((2, 2, 8, 8), np.uint8)))
    assert load_scan(path, measure=False).calibration.step_nm == 0.1


def test_arrays_without_a_file_are_not_kept(kept: _Kept) -> None:
    kept.session.open(Scan(np.ones((2, 2, 8, 8), np.uint8)))
    kept.session.set_calibration(step_nm=0.1)
    assert not kept.keeper.waiting
    assert kept.told == []


def test_where_nothing_can_be_written_it_is_told(
    kept: _Kept, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.session.open(load_scan(path, measure=False))
    # Folders of the sidecars' names stand in the way, for root as well.
    sidecar_path(path).mkdir()
    (path.parent / "file").write_text("")
    monkeypatch.setenv("XDG_DATA_HOME", str(path.parent / "file"))
    told = threading.Event()
    kept.keeper._tell = lambda sentence: (kept.told.append(sentence), told.set())
    kept.session.set_calibration(step_nm=0.1)
    assert told.wait(10)
    assert "cannot be written" in kept.told[0]
    assert not list(path.parent.glob(".*.partial"))
