"""What can be chosen in a file."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from napari_polmap import load_scan
from napari_polmap.io.contents import list_arrays


def test_arrays_are_listed_by_the_names_that_open_them(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["scans/small"] = np.ones((2, 3, 4, 5), np.uint8)
        file["scans/large"] = np.ones((6, 3, 4, 5), np.float32)
        file["image"] = np.ones((6, 3))
    arrays = list_arrays(path)
    assert [(a.name, a.shape, a.dtype) for a in arrays] == [
        ("scans/large", (6, 3, 4, 5), "float32"),
        ("scans/small", (2, 3, 4, 5), "uint8"),
    ]
    for array in arrays:
        assert load_scan(path, dataset=array.name, measure=False).shape == array.shape


def test_nothing_is_listed_of_other_files(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((2, 3, 4, 5)))
    (tmp_path / "damaged.h5").write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    for path in (tmp_path / "a.npy", tmp_path / "damaged.h5", tmp_path / "none", tmp_path):
        assert list_arrays(path) == ()
