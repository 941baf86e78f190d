"""The dipole tells every wrong order of axes."""

from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.scan import Scan
from tests.io.dipole import check_dipole, make_dipole


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_wrong_axes_are_told(dtype: str) -> None:
    data = make_dipole(dtype=dtype)
    check_dipole(Scan(data))
    with pytest.raises(AssertionError, match="axes are x, y, ky, kx"):
        check_dipole(Scan(data.swapaxes(0, 1)))
    with pytest.raises(AssertionError, match="axes are y, x, -ky, kx"):
        check_dipole(Scan(data[:, :, ::-1]))
    with pytest.raises(AssertionError, match="axes are -y, x, kx, ky"):
        check_dipole(Scan(data[::-1].swapaxes(2, 3)))
    with pytest.raises(AssertionError, match="other data"):
        check_dipole(Scan(np.roll(data, 1, axis=1)))
