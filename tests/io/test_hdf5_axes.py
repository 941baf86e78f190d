"""What HDF5 files say of their axes, in every way they say it."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_polmap.io.axes import Axis
from napari_polmap.io.hdf5_axes import described_axes, detector_first, order_by_names


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (("y", "x", "ky", "kx"), [0, 1, 2, 3]),
        (("kx", "ky", "x", "y"), [3, 2, 1, 0]),
        (("scanY", "scanX", "colour", "detY", "detX"), [2, 0, 1, 3, 4]),
        (("scan_x", "scan_y", "detector_x", "detector_y"), [1, 0, 3, 2]),
        (("qy", "qx", "row", "column"), [2, 3, 0, 1]),
        # py4DSTEM's x are the rows, so that these are left as they are.
        (("Rx", "Ry", "Qx", "Qy"), None),
        (("y", "x", "", ""), None),
        (("y", "y", "ky", "kx"), None),
    ],
)
def test_order_by_names(names: tuple[str, ...], order: list[int] | None) -> None:
    assert order_by_names([Axis(name) for name in names]) == order


@pytest.mark.parametrize(
    ("units", "first"),
    [
        (("mrad", "mrad", "nm", "nm"), True),
        (("1/nm", "A^-1", "um", "nm"), True),
        (("nm", "nm", "mrad", "mrad"), False),
        (("mrad", "mrad", "", ""), False),
        (("nm", "nm", "nm", "nm"), False),
        (("mrad", "mrad"), False),
    ],
)
def test_detector_first(units: tuple[str, ...], first: bool) -> None:
    assert detector_first([Axis("", unit) for unit in units]) is first


def test_coordinates_give_scale_and_offset(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("g")
        data = group.create_dataset("data", data=np.zeros((3, 4, 5, 6)))
        for number, values in enumerate(([1.0, 1.5, 2.0], "text", [7.0], [3, 1])):
            dim = group.create_dataset(f"dim{number}", data=values)
            dim.attrs.update({"name": np.bytes_(f"a{number}"), "units": "[n_m]"})
        axes = described_axes(data)
        assert [axis.name for axis in axes] == ["a0", "a1", "a2", "a3"]
        assert (axes[0].scale, axes[0].offset, axes[0].nm) == (0.5, 1.0, 0.5)
        assert axes[1].scale == axes[2].scale == 1.0
        assert (axes[3].scale, axes[3].offset) == (-2.0, 3.0)


@pytest.mark.parametrize(
    "axes", [["y", "x", "ky", "kx"], "y:x:ky:kx", "[y, x, ky, kx]", np.bytes_("y,x,ky,kx")]
)
def test_nexus_axes_in_every_spelling(axes: object, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        group = file.create_group("data")
        group.attrs["axes"] = axes
        group["y"] = [0.0, 0.25, 0.5]
        group["y"].attrs["units"] = "nm"
        data = group.create_dataset("data", data=np.zeros((3, 4, 5, 6)))
        found = described_axes(data)
    assert [axis.name for axis in found] == ["y", "x", "ky", "kx"]
    assert found[0].nm == 0.25
    assert found[1] == Axis("x")


def test_nothing_said(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("data", data=np.zeros((3, 4, 5, 6)))
        assert described_axes(data) == (Axis(),) * 4
