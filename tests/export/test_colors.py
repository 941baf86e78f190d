from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.calibration import Calibration
from napari_polmap.errors import ExportError
from napari_polmap.export import LAYERS, layer_image, render_rgba
from napari_polmap.export.colors import over_background


def test_each_shown_position_has_its_directions_color(make_map):
    result = make_map()
    rgba = render_rgba(result)
    expected = np.rint(result.directions.colors[result.labels()[-1]] * 255)
    np.testing.assert_array_equal(rgba[-1, :, :3], expected)
    assert (rgba[-1, :, 3] == 255).all()


def test_undecided_and_not_computed_are_transparent(make_map):
    result = make_map()
    transparent = render_rgba(result)[..., 3] == 0
    np.testing.assert_array_equal(transparent, result.labels() == 255)
    assert transparent[0, 0]
    assert transparent[0, 9]
    assert not transparent[-1, -1]  # set by hand: never undecided


def test_another_threshold_shows_other_positions(make_map):
    result = make_map()
    assert render_rgba(result, threshold=0.4)[0, 9, 3] == 255
    assert render_rgba(result, threshold=0.95)[-1, 0, 3] == 0
    assert result.threshold == 0.8


def test_colors_follow_the_crystal_angle(make_map):
    turned = make_map(calibration=Calibration(crystal_angle_deg=90.0))
    shown = render_rgba(turned)[-1, 0, :3]
    np.testing.assert_array_equal(shown, np.rint(turned.directions.colors[2] * 255))


def test_layers_of_numbers_take_their_colormap_over_their_limits(make_map):
    from matplotlib import colormaps

    result = make_map()
    rgba = layer_image(result, "confidence")
    expected = colormaps["viridis"](np.float32(0.9), bytes=True)
    np.testing.assert_array_equal(rgba[-1, 0], expected)
    assert (rgba[0, 0] == 0).all()
    probability = layer_image(result, "p_RU")
    np.testing.assert_array_equal(probability[-1, 5], colormaps["viridis"](0.9, bytes=True))


def test_limits_grow_with_the_data_only_where_they_may(make_map):
    result = make_map()
    low, high = LAYERS["defects"].limits(result.defects)
    assert (low, high) == (0.0, pytest.approx(np.nanpercentile(result.defects, 99.5)))
    assert LAYERS["defects"].limits(np.zeros(3)) == (0.0, 5.0)
    assert LAYERS["confidence"].limits(result.confidence) == (0.0, 1.0)


def test_unknown_layer_lists_the_known_ones(make_map):
    with pytest.raises(ExportError, match=r"no layer 'confidense'.*confidence, defects.*p_RM"):
        layer_image(make_map(), "confidense")
    with pytest.raises(ExportError, match="no layer 'RM'"):
        layer_image(make_map(), "RM")


def test_colors_over_a_background(make_map):
    result = make_map()
    rgba = render_rgba(result)
    background = np.broadcast_to(np.linspace(0, 1, 10), (6, 10))
    mixed = over_background(rgba, background, 0.5)
    assert (mixed[..., 3] == 255).all()
    np.testing.assert_array_equal(mixed[0, 9, :3], 255)  # undecided: the image alone
    np.testing.assert_allclose(mixed[-1, 0, :3], rgba[-1, 0, :3] / 2, atol=1)


def test_a_background_of_another_shape_is_refused(make_map):
    with pytest.raises(ExportError, match=r"shape \(3, 3\), but the map has \(6, 10\)"):
        over_background(render_rgba(make_map()), np.zeros((3, 3)), 0.5)


def test_a_flat_or_missing_background_is_no_error(make_map):
    rgba = render_rgba(make_map())
    for value in (7.0, np.nan):
        mixed = over_background(rgba, np.full((6, 10), value), 0.5)
        np.testing.assert_array_equal(mixed[0, 9], [0, 0, 0, 255])
