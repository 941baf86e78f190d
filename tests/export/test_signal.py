"""HyperSpy files hold what the map holds."""

from __future__ import annotations

import hyperspy.api as hs
import numpy as np
import pytest

from napari_polmap.errors import ExportError
from napari_polmap.export import export_signal


def test_labels_and_values_come_back_with_their_axes(make_map, tmp_path):
    result = make_map(20, 30)
    labels = hs.load(export_signal(result, tmp_path / "labels.hspy", threshold=0.0))
    np.testing.assert_array_equal(labels.data, result.labels(0.0))
    assert labels.data.dtype == np.uint8
    values = hs.load(export_signal(result, tmp_path / "confidence.hspy", "confidence"))
    np.testing.assert_array_equal(values.data, result.confidence)
    x = values.axes_manager.signal_axes[0]
    assert (x.name, x.units) == ("x", "nm")
    assert x.scale == pytest.approx(result.calibration.step_nm)
    assert values.metadata.napari_polmap.layer == "confidence"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["confidence.hspy", "labels.hspy"]


def test_another_ending_and_place(make_map, tmp_path):
    with pytest.raises(ExportError, match=r"\.hspy"):
        export_signal(make_map(), tmp_path / "map.zspy")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ExportError, match="cannot be written"):
        export_signal(make_map(), tmp_path / "file" / "map.hspy")
    assert (tmp_path / "file").read_text() == "mine"
