from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels, Layer

from napari_polmap.diffraction.detectors import DiskDetector
from napari_polmap.polarization_map import PolarizationMap
from napari_polmap.scan import Scan
from napari_polmap.viewer.layers import image_layer, map_layers
from napari_polmap.viewer.manager import LayerManager
from napari_polmap.viewer.regions import RegionWatcher
from napari_polmap.viewer.session import Session
from napari_polmap.viewer.tags import Role, role_of
from napari_polmap.viewer.virtual_detector import VirtualDetector
from tests.viewer.scenes import filled_map

ALL = (slice(None), slice(None))


@pytest.fixture
def manager(viewer: ViewerModel) -> LayerManager:
    return LayerManager.of(viewer)


@pytest.fixture
def session(viewer: ViewerModel) -> Session:
    return Session.of(viewer)


def image_of(scan: Scan) -> np.ndarray:
    return np.random.default_rng(0).normal(size=scan.scan_shape).astype(np.float32)


def names(viewer: ViewerModel) -> list[str]:
    return [layer.name for layer in viewer.layers]


def test_there_is_one_manager_and_one_session_a_viewer(viewer: ViewerModel) -> None:
    assert LayerManager.of(viewer) is LayerManager.of(viewer)
    assert LayerManager.of(viewer).session is Session.of(viewer)
    assert LayerManager.of(ViewerModel()) is not LayerManager.of(viewer)


def test_a_scan_brings_its_image(
    viewer: ViewerModel, manager: LayerManager, session: Session, scan: Scan
) -> None:
    session.open(scan, {Role.VIRTUAL: image_of(scan)})
    (layer,) = viewer.layers
    assert role_of(layer) is Role.VIRTUAL
    assert layer.name.startswith("tiny: ")
    assert viewer.canvas.overlays.scale_bar.visible
    # The image is replaced, not added again, and named after the detector.
    session.set_detector(VirtualDetector("annular dark field", DiskDetector((3, 3), 2.0)))
    session.set_image(Role.VIRTUAL, np.full(scan.scan_shape, 3, np.float32))
    assert names(viewer) == ["tiny: annular dark field"]
    assert (layer.data == 3).all()
    low, high = layer.contrast_limits
    assert low < high


def test_a_map_adds_its_layers_in_order(
    viewer: ViewerModel,
    manager: LayerManager,
    session: Session,
    scan: Scan,
    polarization_map: PolarizationMap,
) -> None:
    session.open(scan, {Role.VIRTUAL: image_of(scan)})
    session.start_map(polarization_map)
    roles = [role_of(layer) for layer in viewer.layers]
    assert roles == [Role.VIRTUAL, Role.POLARIZATION, Role.CONFIDENCE, Role.DEFECTS, Role.ARROWS]
    visible = {role_of(layer) for layer in viewer.layers if layer.visible}
    assert visible == {Role.VIRTUAL, Role.POLARIZATION, Role.ARROWS}
    assert viewer.layers.selection.active is manager.get(Role.POLARIZATION)
    assert not manager.get(Role.POLARIZATION).editable
    status = viewer.layers["tiny: polarization"].get_status((0.15, 0.05), world=True)
    assert status["value"] == "RU 45° · confidence 0.90"
    # The virtual image tells it too.
    assert "RU 45°" in manager.get(Role.VIRTUAL).get_status((0.15, 0.05), world=True)["value"]


def test_layers_follow_the_growing_map(
    viewer: ViewerModel, manager: LayerManager, session: Session, scan: Scan
) -> None:
    done = filled_map(scan)
    growing = PolarizationMap.empty(
        done.shape,
        done.directions,
        threshold=0.5,
        calibration=done.calibration,
        scan=done.scan,
        classifier={},
    )
    session.open(scan)
    session.start_map(growing)
    labels = manager.get(Role.POLARIZATION)
    assert (labels.data == 255).all()
    drawn = []
    labels.events.set_data.connect(lambda: drawn.append(1))
    for name, array in growing.arrays().items():
        array[:6] = getattr(done, name)[:6]
    session.map_changed.emit((slice(0, 6), slice(0, 20)))
    assert drawn
    np.testing.assert_array_equal(labels.data[:6], done.labels()[:6])
    assert (labels.data[6:] == 255).all()
    np.testing.assert_array_equal(manager.get(Role.CONFIDENCE).data[:6], done.confidence[:6])
    for name, array in growing.arrays().items():
        array[...] = getattr(done, name)
    session.map_changed.emit(None)
    np.testing.assert_array_equal(labels.data, done.labels())
    assert len(manager.get(Role.ARROWS).data) > 0


def test_threshold_undo_and_a_second_run_reuse_the_layers(
    viewer: ViewerModel,
    manager: LayerManager,
    session: Session,
    scan: Scan,
    polarization_map: PolarizationMap,
) -> None:
    session.open(scan, {Role.VIRTUAL: image_of(scan)})
    session.start_map(polarization_map)
    before = list(viewer.layers)
    session.set_threshold(0.2)
    assert (manager.get(Role.POLARIZATION).data != 255).all()
    session.set_threshold(0.95)
    assert (manager.get(Role.POLARIZATION).data == 255).all()
    assert len(manager.get(Role.ARROWS).data) == 0
    second = filled_map(scan, seed=3)
    second.direction[...] = 2
    session.start_map(second)
    assert list(viewer.layers) == before
    assert set(np.unique(manager.get(Role.POLARIZATION).data)) == {2, 255}
    assert manager.get(Role.DEFECTS).data is second.defects


def test_removed_layers_stay_away_until_asked_for(
    viewer: ViewerModel,
    manager: LayerManager,
    session: Session,
    scan: Scan,
    polarization_map: PolarizationMap,
) -> None:
    session.open(scan, {Role.VIRTUAL: image_of(scan)})
    session.start_map(polarization_map)
    for layer in list(viewer.layers):
        viewer.layers.remove(layer)
    session.map_changed.emit((slice(0, 3), slice(0, 3)))
    session.map_changed.emit(None)
    session.set_image(Role.VIRTUAL, image_of(scan))
    assert len(viewer.layers) == 0
    assert not manager.shown(Role.POLARIZATION)
    manager.show(Role.POLARIZATION)
    manager.show(Role.CONFIDENCE)
    manager.show(Role.VIRTUAL)
    assert [role_of(layer) for layer in viewer.layers] == [
        Role.VIRTUAL,
        Role.POLARIZATION,
        Role.CONFIDENCE,
    ]
    assert manager.shown(Role.CONFIDENCE)
    np.testing.assert_array_equal(manager.get(Role.POLARIZATION).data, polarization_map.labels())


def test_a_new_map_brings_removed_layers_back(
    viewer: ViewerModel, manager: LayerManager, session: Session, scan: Scan
) -> None:
    session.open(scan)
    session.start_map(filled_map(scan))
    viewer.layers.remove(manager.get(Role.POLARIZATION))
    session.start_map(filled_map(scan))
    assert manager.shown(Role.POLARIZATION)


def test_another_scan_lets_the_old_layers_go(
    viewer: ViewerModel, manager: LayerManager, session: Session, scan: Scan
) -> None:
    session.open(scan, {Role.VIRTUAL: image_of(scan)})
    session.start_map(filled_map(scan))
    old = list(viewer.layers)
    other = Scan(np.ones((12, 20, 4, 4), np.uint8), name="other", step_nm=0.3)
    session.open(other, {Role.VIRTUAL: image_of(scan)})
    assert all(layer in viewer.layers and not layer.visible for layer in old)
    assert manager.get(Role.POLARIZATION) is None
    assert "other: virtual image" in names(viewer)
    # What is let go is left alone, even where its shape would fit.
    assert tuple(old[0].scale) == (0.05, 0.05)
    assert tuple(manager.get(Role.VIRTUAL).scale) == (0.3, 0.3)


def test_units_never_mix(
    viewer: ViewerModel, manager: LayerManager, session: Session, scan: Scan
) -> None:
    session.open(scan, {Role.VIRTUAL: image_of(scan)})
    session.start_map(filled_map(scan))
    RegionWatcher(viewer).start_drawing()
    unknown = Scan(np.ones((12, 20, 4, 4), np.uint8), name="other")
    session.open(unknown, {Role.VIRTUAL: image_of(scan)})
    # napari gives no units where they differ.
    assert [str(unit) for unit in viewer.layers.extent.units] == ["pixel", "pixel"]
    assert {tuple(layer.scale) for layer in viewer.layers} == {(1.0, 1.0)}
    session.set_calibration(step_nm=0.2)
    assert [str(unit) for unit in viewer.layers.extent.units] == ["nanometer", "nanometer"]
    assert tuple(viewer.layers["regions"].scale) == (0.2, 0.2)


def test_a_drawing_keeps_the_tools_while_layers_come(
    viewer: ViewerModel, manager: LayerManager, session: Session, scan: Scan
) -> None:
    session.open(scan, {Role.VIRTUAL: image_of(scan)})
    shapes = viewer.add_shapes(None, ndim=2)
    shapes.mode = "add_polygon"
    session.start_map(filled_map(scan))
    assert viewer.layers.selection.active is shapes
    assert shapes.mode == "add_polygon"


def test_another_step_moves_every_layer(
    viewer: ViewerModel,
    manager: LayerManager,
    session: Session,
    scan: Scan,
    polarization_map: PolarizationMap,
) -> None:
    session.open(scan, {Role.VIRTUAL: image_of(scan)})
    session.start_map(polarization_map)
    session.set_calibration(step_nm=0.2)
    assert {tuple(layer.scale) for layer in viewer.layers} == {(0.2, 0.2)}
    assert session.stale_values == ["step_nm"]
    assert session.scan.calibration.sources["step_nm"] == "user"


def test_layers_from_a_file_are_taken_over(
    viewer: ViewerModel, manager: LayerManager, session: Session, scan: Scan
) -> None:
    opened = []
    manager.on_opened = opened.append
    viewer.add_layer(Layer.create(*image_layer(Role.VIRTUAL, "tiny", image_of(scan), scan)))
    assert session.scan is scan
    assert manager.shown(Role.VIRTUAL)
    saved = filled_map(scan)
    layers = map_layers(saved, "saved", saved.calibration)
    viewer.add_layer(Layer.create(*layers[Role.POLARIZATION]))
    assert session.map is saved
    assert all(manager.get(role) is not None for role in (Role.CONFIDENCE, Role.ARROWS))
    assert len(opened) == 2
    assert opened[0] is viewer


def test_a_manager_takes_over_what_is_there(viewer: ViewerModel, scan: Scan) -> None:
    viewer.add_layer(Layer.create(*image_layer(Role.VIRTUAL, "tiny", image_of(scan), scan)))
    manager = LayerManager.of(viewer)
    assert manager.session.scan is scan
    assert manager.get(Role.VIRTUAL) is viewer.layers[0]


def test_copies_and_foreign_layers_are_left_alone(
    viewer: ViewerModel,
    manager: LayerManager,
    session: Session,
    scan: Scan,
    polarization_map: PolarizationMap,
) -> None:
    session.open(scan)
    session.start_map(polarization_map)
    original = manager.get(Role.POLARIZATION)
    copy = viewer.add_layer(Layer.create(*original.as_layer_data_tuple()))
    viewer.add_labels(np.zeros((4, 4), np.uint8))
    assert manager.get(Role.POLARIZATION) is original
    session.set_threshold(0.95)
    assert isinstance(copy, Labels)
    assert session.map is polarization_map


def test_nothing_keeps_a_viewer_alive(scan: Scan) -> None:
    import gc
    from weakref import ref

    viewer = ViewerModel()
    LayerManager.of(viewer)
    session = Session.of(viewer)
    session.open(scan, {Role.VIRTUAL: image_of(scan)})
    session.start_map(filled_map(scan))
    gone = ref(viewer)
    del viewer, session
    gc.collect()
    assert gone() is None
