from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Labels, Layer
from napari.utils.colormaps import ensure_colormap

from napari_polmap import DirectionSet
from napari_polmap.directions import NOT_COMPUTED
from napari_polmap.export import render_rgba
from napari_polmap.polarization_map import PolarizationMap
from napari_polmap.scan import Scan
from napari_polmap.viewer.contrast import IMAGE_MODES, ImageContrast
from napari_polmap.viewer.layers import (
    MOST_ARROWS,
    arrow_data,
    describe,
    geometry,
    image_colormap,
    image_layer,
    label_colormap,
    map_layers,
    name_in_status_bar,
    shown_labels,
)
from napari_polmap.viewer.tags import Role, role_of, source_of


@pytest.fixture
def labels(polarization_map: PolarizationMap) -> Labels:
    layers = map_layers(polarization_map, "tiny", polarization_map.calibration)
    return Layer.create(*layers[Role.POLARIZATION])


def test_every_layer_has_scale_units_axes_and_provenance(
    scan: Scan, polarization_map: PolarizationMap
) -> None:
    layers = map_layers(polarization_map, "tiny", scan.calibration)
    assert list(layers) == [Role.POLARIZATION, Role.CONFIDENCE, Role.DEFECTS, Role.ARROWS]
    image = np.ones(scan.scan_shape, np.float32)
    layers[Role.VIRTUAL] = image_layer(Role.VIRTUAL, "tiny: bright field", image, scan)
    for role, data in layers.items():
        layer = Layer.create(*data)
        assert tuple(layer.scale) == (0.05, 0.05)
        assert [str(unit) for unit in layer.units] == ["nanometer", "nanometer"]
        assert layer.axis_labels == ("y", "x")
        assert role_of(layer) is role
        provenance = layer.metadata["napari_polmap"]["provenance"]
        assert provenance["calibration"]["step_nm"] == 0.05


def test_without_a_step_positions_are_pixels() -> None:
    scan = Scan(np.ones((2, 3, 4, 4), np.uint8))
    assert geometry(scan.calibration)["units"] == ("pixel", "pixel")
    assert geometry(scan.calibration)["scale"] == (1.0, 1.0)


def test_labels_show_exactly_the_exported_colors(
    labels: Labels, polarization_map: PolarizationMap
) -> None:
    assert labels.data.dtype == np.uint8
    shown = labels.colormap.map(labels.data)
    np.testing.assert_array_equal(
        np.rint(255 * shown).astype(np.uint8), render_rgba(polarization_map)
    )


def test_undecided_and_erased_are_background() -> None:
    colormap = label_colormap(DirectionSet.default())
    assert colormap.background_value == NOT_COMPUTED
    assert None in colormap.color_dict
    assert colormap.map(NOT_COMPUTED)[3] == 0
    assert colormap.map(77)[3] == 0


def test_colors_turn_with_the_crystal(polarization_map: PolarizationMap) -> None:
    turned = polarization_map.copy()
    turned.calibration = turned.calibration.updated("user", crystal_angle_deg=90.0)
    before = label_colormap(polarization_map.shown_directions).map(1)
    after = label_colormap(turned.shown_directions).map(1)
    third = label_colormap(polarization_map.shown_directions).map(3)
    assert not np.allclose(before, after)
    np.testing.assert_allclose(after, third)


def test_rectangle_of_labels_equals_that_of_all(polarization_map: PolarizationMap) -> None:
    part = shown_labels(polarization_map, slice(2, 9), slice(5, 17))
    np.testing.assert_array_equal(part, polarization_map.labels()[2:9, 5:17])


def test_arrows_point_along_the_directions_and_stay_few(scan: Scan) -> None:
    from tests.viewer.scenes import filled_map

    large = Scan(np.zeros((300, 300, 1, 1), np.uint8), step_nm=0.05)
    made = filled_map(large)
    made.confidence[...] = 0.9
    made.confidence[:150] = 0.1
    vectors, width = arrow_data(made)
    assert 0 < len(vectors) <= MOST_ARROWS
    assert width > 0
    starts, steps = vectors[:, 0], vectors[:, 1]
    assert (starts[:, 0] > 130).all(), "undecided blocks have no arrow"
    left = steps[starts[:, 1] < 5]
    assert (left[:, 0] < 0).all(), "RU points up: towards smaller rows"
    assert (left[:, 1] > 0).all(), "and to the right"


def test_no_arrow_is_no_error(polarization_map: PolarizationMap) -> None:
    polarization_map.threshold = 1.0
    vectors, _ = arrow_data(polarization_map)
    assert vectors.shape == (0, 2, 2)


def test_description_names_direction_and_confidence(polarization_map: PolarizationMap) -> None:
    assert describe(polarization_map, 3.2, 0.9) == "RU 45° · confidence 0.90"
    assert describe(polarization_map, 3, 12).startswith("undecided, most likely LD 225°")
    assert "0.30" in describe(polarization_map, 3, 12)
    assert describe(polarization_map, -0.6, 3) == ""
    assert describe(polarization_map, 3, 19.6) == ""
    polarization_map.confidence_calibrated = False
    assert "uncalibrated" in describe(polarization_map, 3, 1)
    polarization_map.direction[3, 1] = NOT_COMPUTED
    assert describe(polarization_map, 3, 1) == "not computed"


def test_status_bar_names_direction_and_confidence(
    labels: Labels, polarization_map: PolarizationMap
) -> None:
    name_in_status_bar(labels, lambda: source_of(labels.metadata).map)
    status = labels.get_status((3 * 0.05, 1 * 0.05), world=True)
    assert status["value"] == "RU 45° · confidence 0.90"
    assert status["coordinates"].endswith(": RU 45° · confidence 0.90")
    assert labels.get_status((3, 1))["value"] == "RU 45° · confidence 0.90"


def test_status_bar_of_an_image_keeps_its_value(polarization_map: PolarizationMap) -> None:
    layers = map_layers(polarization_map, "tiny", polarization_map.calibration)
    confidence = Layer.create(*layers[Role.CONFIDENCE])
    confidence.visible = True
    name_in_status_bar(confidence, lambda: polarization_map)
    value = confidence.get_status((3 * 0.05, 1 * 0.05), world=True)["value"]
    assert value == "0.9; RU 45° · confidence 0.90"


def test_contrast_is_always_finite() -> None:
    contrast = ImageContrast()
    assert contrast.limits(np.full((3, 4), np.nan), signed=False) == (0.0, 1.0)
    assert contrast.limits(np.full((3, 4), 7.0), signed=False) == (7.0, 8.0)
    image = np.arange(10000, dtype=np.float32).reshape(100, 100)
    image[0, 0] = 1e9
    low, high = contrast.limits(image, signed=False)
    assert 0 < low < high < 1e5
    low, high = contrast.limits(image - 5000, signed=True)
    assert low == -high


@pytest.mark.parametrize("mode", IMAGE_MODES)
@pytest.mark.parametrize("signed", [False, True])
def test_curves_of_images_lie_in_the_colormap(mode: str, signed: bool) -> None:
    contrast = ImageContrast(mode, gamma=0.5)
    places = contrast.curve(np.linspace(0, 1, 101), signed)
    np.testing.assert_allclose(places[[0, 100]], (0, 1), atol=1e-12)
    assert (np.diff(places) > 0).all()
    if signed:
        np.testing.assert_allclose(places + places[::-1], 1)  # zero stays in the middle
    elif mode != "linear":
        assert places[10] > 0.3
    colormap = ensure_colormap(image_colormap(Role.VIRTUAL, contrast, signed))
    expected = ensure_colormap("PiYG" if signed else "gray").map(places)
    np.testing.assert_allclose(colormap.map(np.linspace(0, 1, 101)), expected, atol=0.06)


def test_colors_are_an_image_of_colors(scan: Scan) -> None:
    colors = np.zeros((*scan.scan_shape, 3), np.uint8)
    layer = Layer.create(*image_layer(Role.COM_COLORS, "tiny: colors", colors, scan))
    assert layer.rgb
