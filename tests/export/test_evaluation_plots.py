from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.errors import ExportError
from napari_polmap.export.evaluation_plots import (
    accuracy_figure,
    condition_label,
    confusion_figure,
    reliability_figure,
    save_chart,
)
from napari_polmap.metrics import by_condition, reliability

RNG = np.random.default_rng(0)


def test_confusion_shows_shares_of_the_true_direction():
    figure = confusion_figure([[30, 10, 0], [0, 5, 0], [0, 0, 0]], ["RM", "RU", "none"])
    axes = figure.axes[0]
    # "none" is neither true nor predicted.
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.75, 0.25], [0, 1]])
    assert [text.get_text() for text in axes.texts] == ["75", "25", "100"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["RM", "RU"]


def test_reliability_draws_filled_bins():
    confidence = RNG.uniform(0.5, 1, 500)
    rows = reliability(confidence, RNG.uniform(size=500) < confidence)
    figure = reliability_figure(rows, 0.02)
    above, below = figure.axes
    assert len(above.patches) == sum(row[2] > 0 for row in rows) < len(rows)
    assert sum(patch.get_height() for patch in below.patches) == 500
    assert "0.020" in above.get_title()


def test_accuracy_has_one_panel_a_condition():
    by = {
        "thickness_nm": by_condition([5, 5, 10], [True, False, True]),
        "dose": by_condition(np.geomspace(100, 1e5, 50), np.ones(50, bool)),
    }
    figure = accuracy_figure(by, chance=0.125)
    first, second = figure.axes[:2]
    assert first.get_xlabel() == "thickness (nm)"
    np.testing.assert_allclose(first.lines[0].get_ydata(), [0.5, 1])
    assert second.get_xscale() == "log"
    assert accuracy_figure({}).axes[0].texts


def test_labels_of_conditions():
    assert condition_label("tilt_azimuth_deg") == "tilt azimuth (°)"
    assert condition_label("dose") == "electrons per pattern"
    assert condition_label("run") == "run"


def test_figures_are_written_without_pyplot(tmp_path):
    import sys

    before = "matplotlib.pyplot" in sys.modules
    figure = confusion_figure(np.eye(2, dtype=int), ["a", "b"])
    for kind in ("png", "svg"):
        first = save_chart(figure, tmp_path / f"a.{kind}", "confusion").read_bytes()
        assert save_chart(figure, tmp_path / f"b.{kind}", "confusion").read_bytes() == first
        assert len(first) > 2000
    with pytest.raises(ExportError, match="can be written as"):
        save_chart(figure, tmp_path / "a.gif", "confusion")
    assert ("matplotlib.pyplot" in sys.modules) == before
