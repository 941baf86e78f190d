from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_polmap.benchmark.exposure import scans_of
from napari_polmap.benchmark.protocol import DataFile, Test
from napari_polmap.errors import DatasetError


@pytest.fixture
def data(tmp_path: Path) -> DataFile:
    rng = np.random.default_rng(0)
    clean = rng.uniform(0, 4, (6, 5, 12, 12)).astype(np.float16)
    np.save(tmp_path / "clean.npy", clean)
    np.save(tmp_path / "counts.npy", clean.astype(np.uint16))
    known = 'direction = "RM"\ncenter = [6, 6]\nradius = 4\nlattice_nm = 0.4'
    entries = [
        f'[[scan]]\npath = "{name}.npy"\nthickness_nm = {thickness}\nthermal = "{mode}"\n{known}'
        for name, thickness, mode in (("clean", 20, "none"), ("counts", 50, "phonon"))
    ]
    path = tmp_path / "set.toml"
    path.write_text('directions = ["RM", "LM"]\n' + "\n".join(entries))
    return DataFile(path)


def test_electrons_are_counted_at_each_position(data: DataFile, tmp_path: Path) -> None:
    test = Test("low dose", data, select={"thickness_nm": 20}, dose=500)
    (entry,) = scans_of(test).scans
    scan = entry.open()
    counts = scan.read(slice(0, 6), slice(0, 5))
    clean = np.load(tmp_path / "clean.npy").astype(float)
    assert counts.dtype.kind == "u"
    assert entry.conditions["dose"] == 500
    expected = clean * 500 / clean.sum(axis=(2, 3)).mean()
    assert counts.sum(axis=(2, 3)).mean() == pytest.approx(500, rel=0.02)
    # The variance of counts is their mean.
    assert ((counts - expected) ** 2 / expected).mean() == pytest.approx(1, abs=0.08)
    # The same noise whatever is read together, another one at each position and in each scan.
    np.testing.assert_array_equal(entry.open().read(slice(2, 3), slice(1, 4)), counts[2:3, 1:4])
    other = scans_of(test, seed=1).scans[0].open().read(slice(0, 6), slice(0, 5))
    assert (other != counts).any()
    assert scan.calibration.center_px == (6, 6)


def test_scans_are_chosen_by_what_they_state(data: DataFile) -> None:
    def chosen(**options: object) -> list[str]:
        return [entry.path.stem for entry in scans_of(Test("a", data, **options)).scans]

    assert chosen() == ["clean", "counts"]
    assert chosen(select={"thickness_nm": [30, 60]}) == ["counts"]
    assert chosen(select={"thermal": "none"}) == ["clean"]
    assert chosen(scan=1) == ["counts"]
    with pytest.raises(DatasetError, match="has no scan with thickness_nm = 30"):
        chosen(select={"thickness_nm": 30})


def test_counts_are_not_counted_again(data: DataFile) -> None:
    entry = scans_of(Test("a", data, scan=1, dose=100)).scans[0]
    with pytest.raises(DatasetError, match="holds whole counts"):
        entry.open()
