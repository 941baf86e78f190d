"""Images of the specimen from files of several kinds."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from matplotlib.image import imsave

from napari_polmap.errors import ScanError
from napari_polmap.io.pictures import grey, load_pictures

IMAGE = np.arange(12 * 8, dtype=np.uint16).reshape(12, 8)


def test_plain_images(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", IMAGE)
    tifffile.imwrite(tmp_path / "a.tif", IMAGE)
    for name in ("a.npy", "a.tif"):
        (picture,) = load_pictures(tmp_path / name)
        assert (picture.name, picture.pixel_nm) == (name, None)
        np.testing.assert_array_equal(picture.data, IMAGE)
    imsave(tmp_path / "a.png", IMAGE, cmap="gray")
    (picture,) = load_pictures(tmp_path / "a.png")
    np.testing.assert_allclose(picture.data, IMAGE / IMAGE.max(), atol=0.01)


def test_images_beside_a_scan_in_its_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["scan/data"] = np.ones((12, 8, 4, 4), np.uint8)
        file["haadf/data"] = IMAGE
        file["haadf/line"] = np.arange(5)
        # As NCEM's EMD files describe axes.
        file["haadf"].attrs["emd_group_type"] = 1
        for number, size in ((1, 12), (2, 8)):
            axis = file.create_dataset(f"haadf/dim{number}", data=np.arange(size) * 0.25)
            axis.attrs["name"], axis.attrs["units"] = "yx"[number - 1], "nm"
    (picture,) = load_pictures(tmp_path / "scan.h5")
    assert picture.name == "haadf/data"
    assert picture.pixel_nm == pytest.approx((0.25, 0.25))
    np.testing.assert_array_equal(picture.data, IMAGE)


def test_signals_with_their_scale(tmp_path: Path) -> None:
    import hyperspy.api as hs

    signal = hs.signals.Signal2D(IMAGE)
    signal.metadata.General.title = "HAADF"
    for axis, scale in zip(signal.axes_manager.signal_axes, (20.0, 30.0), strict=True):
        axis.scale, axis.units = scale, "pm"
    signal.save(tmp_path / "haadf.hspy")
    (picture,) = load_pictures(tmp_path / "haadf.hspy")
    assert picture.name == "HAADF"
    assert picture.pixel_nm == pytest.approx((0.03, 0.02))
    np.testing.assert_array_equal(picture.data, IMAGE)


def test_what_is_no_image_is_told(tmp_path: Path) -> None:
    np.save(tmp_path / "line.npy", np.arange(5))
    (tmp_path / "text.tif").write_text("no picture")
    (tmp_path / "text.xyz").write_text("no picture")
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["scan"] = np.ones((2, 2, 2, 2))
    for name in ("line.npy", "text.tif", "text.xyz", "scan.h5", "missing.tif"):
        with pytest.raises(ScanError, match=name):
            load_pictures(tmp_path / name)


def test_colors_become_luminance() -> None:
    colors = np.zeros((4, 5, 4), np.uint8)
    colors[..., 1] = 100
    np.testing.assert_allclose(grey(colors), 58.7)
    assert grey(np.zeros((4, 5, 6))) is None
    assert grey(np.zeros((4, 5), complex)) is None
