"""Axes put in order lazily, against plain NumPy; every order told by the dipole."""

from __future__ import annotations

import itertools
from pathlib import Path

import dask.array as da
import numpy as np
import pytest

from napari_polmap.errors import ScanError, ScanShapeError
from napari_polmap.io import load_scan
from napari_polmap.io.arrangement import AXES, ArrangedView, Arrangement, parse_axes
from napari_polmap.io.axes import Axis
from napari_polmap.io.signals import scan_to_signal
from napari_polmap.scan import Scan
from tests.io.dipole import SHAPE, check_dipole, make_dipole

DIPOLE = make_dipole()


def stored_as(text: str, data: np.ndarray = DIPOLE) -> np.ndarray:
    """The dipole as a file stores it whose axes are `text`."""
    names = parse_axes(text)
    order = [AXES.index(name) for name, _ in names]
    steps = tuple(slice(None, None, -1 if back else 1) for _, back in names)
    return np.ascontiguousarray(data.transpose(order)[steps])


def save(folder: Path, data: np.ndarray) -> Path:
    np.save(folder / "a.npy", data)
    return folder / "a.npy"


@pytest.mark.parametrize("order", list(itertools.permutations(AXES)), ids=",".join)
@pytest.mark.parametrize("back", [(), ("y",), ("kx", "y"), AXES], ids="".join)
def test_every_order_and_reversal(
    tmp_path: Path, order: tuple[str, ...], back: tuple[str, ...]
) -> None:
    text = ",".join("-" * (name in back) + name for name in order)
    path = save(tmp_path, stored_as(text))
    check_dipole(load_scan(path, axes=text, measure=False))


def test_dipole_tells_a_wrong_order(tmp_path: Path) -> None:
    path = save(tmp_path, stored_as("x,y,ky,kx"))
    with pytest.raises(AssertionError, match="the axes are x, y, ky, kx"):
        check_dipole(load_scan(path, measure=False))


@pytest.mark.parametrize(
    "text", ["y,x,ky,kx", "x,-y,ky,kx", "ky,kx,y,x", "kx,-ky,x,y", "ky,y,x,kx"]
)
def test_frames_wherever_they_stand(tmp_path: Path, text: str) -> None:
    stored = stored_as(text)
    names = [name for name, _ in parse_axes(text)]
    slow = min(names.index("y"), names.index("x"))
    nav_shape = stored.shape[slow : slow + 2]
    frames = stored.reshape(*stored.shape[:slow], -1, *stored.shape[slow + 2 :])
    path = save(tmp_path, frames)
    check_dipole(load_scan(path, axes=text, nav_shape=nav_shape, measure=False))


def test_frames_whose_scan_axes_are_apart(tmp_path: Path) -> None:
    path = save(tmp_path, DIPOLE.reshape(15, 8, 7))
    with pytest.raises(ScanError, match="must be neighbors"):
        load_scan(path, axes="y,ky,x,kx", nav_shape=(3, 5))


def test_reshaping_before_swapping(tmp_path: Path) -> None:
    path = save(tmp_path, stored_as("x,y,ky,kx").reshape(3, 5, 8, 7))
    check_dipole(load_scan(path, nav_shape=(5, 3), axes="x,y,ky,kx", measure=False))


@pytest.mark.parametrize("text", ["y,x,ky,kx", "-y,-x,ky,kx", "x,y,ky,kx", "ky,kx,y,x"])
def test_flyback_is_cut_from_the_end_of_recorded_rows(tmp_path: Path, text: str) -> None:
    stored = stored_as(text)
    fast = max(i for i, (name, _) in enumerate(parse_axes(text)) if name in "yx")
    pad = [(0, 0)] * 4
    pad[fast] = (0, 2)
    path = save(tmp_path, np.pad(stored, pad, constant_values=9))
    scan = load_scan(path, axes=text, flyback=2, measure=False)
    check_dipole(scan)
    with pytest.raises(ScanError, match="leaves nothing"):
        load_scan(path, axes=text, flyback=stored.shape[fast] + 2)


def test_flyback_in_a_stack_of_frames(tmp_path: Path) -> None:
    frames = np.pad(DIPOLE, ((0, 0), (0, 1), (0, 0), (0, 0))).reshape(18, 8, 7)
    path = save(tmp_path, np.concatenate([frames, frames[:2]]))
    scan = load_scan(path, nav_shape=(3, 6), flyback=1, measure=False)
    check_dipole(scan)
    assert scan.warnings == (
        f"The last 2 of 20 frames are left out: {path} is opened as 3 rows of 6.",
    )
    with pytest.raises(ScanShapeError, match="20 frames"):
        load_scan(path, nav_shape=(2, 6))


def test_five_axes(tmp_path: Path) -> None:
    path = save(tmp_path, np.stack([stored_as("x,y,kx,ky")] * 2))
    check_dipole(load_scan(path, index=1, axes="x,y,kx,ky", measure=False))


class Counted:
    """An array that counts what is read of it."""

    def __init__(self, data: np.ndarray) -> None:
        self.data, self.shape, self.ndim, self.dtype = data, data.shape, data.ndim, data.dtype
        self.read = 0

    def __getitem__(self, key: object) -> np.ndarray:
        part = self.data[key]
        self.read += part.size
        return part


def test_nothing_is_read_until_it_is_asked_for() -> None:
    source = Counted(np.stack([DIPOLE, DIPOLE + 1, DIPOLE]))
    arrangement = Arrangement.of(index=-2, axes="-x,y,ky,kx", flyback=1)
    arranged = arrangement.apply("a", source, (Axis(),) * 5)
    assert source.read == 0
    expected = (DIPOLE + 1)[::-1, :4].transpose(1, 0, 2, 3)
    assert arranged.data.shape == expected.shape
    np.testing.assert_array_equal(arranged.data[1, 2, 3:5], expected[1, 2, 3:5])
    assert source.read == 2 * SHAPE[3]


def test_calibration_follows_its_axis() -> None:
    axes = (Axis("p", "nm", 0.5), Axis("q", "nm", 2.0, 7.0), *[Axis("k", "mrad", 1.0, -3.0)] * 2)
    data = np.zeros((3, 5, 8, 7))
    arranged = Arrangement.of(axes="x,-y,-ky,kx").apply("a", data, axes)
    assert [axis.name for axis in arranged.axes] == ["q", "p", "k", "k"]
    assert arranged.axes[0] == Axis("q", "nm", -2.0, 7.0 + 2.0 * 4)
    # The pixel at zero stays the same one.
    center = [-axis.offset / axis.scale for axis in arranged.axes[2:]]
    assert center == [7 - 3, 3]


@pytest.mark.parametrize("lazy", [False, True])
def test_views_index_like_arrays(lazy: bool) -> None:
    source = da.from_array(DIPOLE, chunks=(2, 2, 8, 7)) if lazy else DIPOLE
    view = ArrangedView(source, (1, 0, 3, 2), (True, False, False, True), (4, 3, 7, 8))
    whole = DIPOLE[:, :4].transpose(1, 0, 3, 2)[::-1, :, :, ::-1]
    for key in (
        np.s_[:],
        np.s_[2],
        np.s_[-1, 1, :3],
        np.s_[::2, 1:, ::-1],
        np.s_[3:0:-2, ..., 1:7:3],
        np.s_[2:2],
    ):
        np.testing.assert_array_equal(view[key], whole[key])


def test_blocks_stored_together_turn_with_the_axes(tmp_path: Path) -> None:
    path = tmp_path / "a.hspy"
    scan_to_signal(Scan(DIPOLE)).save(path, chunks=(1, 4, 8, 7))
    assert load_scan(path, measure=False).storage == (1, 4)
    turned = load_scan(path, axes="x,y,ky,kx", measure=False)
    assert turned.storage == (4, 1)
    np.testing.assert_array_equal(turned.pattern(4, 2), DIPOLE[2, 4])
    cut = load_scan(path, flyback=2, measure=False)
    assert cut.storage == (1, 4)
    np.testing.assert_array_equal(cut.pattern(2, 2), DIPOLE[2, 2])


def test_rows_stored_side_by_side(tmp_path: Path) -> None:
    path = save(tmp_path, stored_as("ky,kx,y,x"))
    scan = load_scan(path, axes="ky,kx,y,x", measure=False)
    assert scan.storage == (1, 5)
    np.testing.assert_array_equal(scan.pattern(2, 3), DIPOLE[2, 3])
    scan = load_scan(save(tmp_path, stored_as("ky,kx,x,y")), axes="ky,kx,x,y", measure=False)
    assert scan.storage == (3, 1)
    np.testing.assert_array_equal(scan.pattern(2, 3), DIPOLE[2, 3])
    scan = load_scan(save(tmp_path, np.asfortranarray(DIPOLE)), measure=False)
    assert scan.storage == (3, 1)
    check_dipole(scan)


def test_the_scan_tells_how_it_was_read(tmp_path: Path) -> None:
    path = save(tmp_path, DIPOLE)
    assert load_scan(path, axes="y, x, ky, kx", flyback=0, measure=False).reading == {}
    options = {"nav_shape": (5, 3), "axes": "-x,y,ky,kx", "flyback": 1}
    scan = load_scan(path, measure=False, **options)
    assert scan.reading == options
    again = load_scan(path, measure=False, **scan.reading)
    np.testing.assert_array_equal(again.data.compute(), scan.data.compute())


@pytest.mark.parametrize("axes", ["", "y,x", "y,x,ky,ky", "y,x,ky,kz", "y,x,ky,--kx", 3])
def test_axes_that_name_no_order(tmp_path: Path, axes: object) -> None:
    with pytest.raises(ScanError, match="axes must name y, x, ky and kx once each"):
        load_scan(save(tmp_path, DIPOLE), axes=axes)


@pytest.mark.parametrize("flyback", [-1, 1.5, "1", True])
def test_impossible_flyback(tmp_path: Path, flyback: object) -> None:
    with pytest.raises(ScanError, match="flyback must be a number of columns"):
        load_scan(save(tmp_path, DIPOLE), flyback=flyback)
