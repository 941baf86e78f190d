"""The import dialog with real files, mouse and keyboard."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QComboBox, QDialogButtonBox

from napari_polmap import load_scan
from napari_polmap.io.sidecar import save_sidecar
from napari_polmap.viewer.import_presets import load_presets
from napari_polmap.widgets.import_dialog import ImportDialog
from tests.widgets.conftest import Window

LEFT = Qt.MouseButton.LeftButton
OPEN, CANCEL = QDialogButtonBox.StandardButton.Open, QDialogButtonBox.StandardButton.Cancel
REAL = Path(
    os.environ.get("POLMAP_REAL_DATA", Path(__file__).parents[3] / "shared" / "data" / "real")
)
SHAPE, DETECTOR = (24, 36), (20, 28)


def make_data() -> np.ndarray:
    """Counts with a disk left of the detector's middle; stripes along the scan's columns."""
    rows, columns = np.indices(DETECTOR)
    disk = np.hypot(rows - 9, columns - 11) < 6.5
    stripes = np.where(np.arange(SHAPE[1]) % 12 < 6, 20, 90)
    rate = np.where(disk, np.broadcast_to(stripes, SHAPE)[..., None, None], 1)
    return np.random.default_rng(3).poisson(rate).astype(np.uint16)


@pytest.fixture
def open_dialog(window: Window) -> Iterator[Callable[..., ImportDialog]]:
    """Shows dialogs; waits until what they were given is recognized."""
    made: list[ImportDialog] = []

    def show(path: Path | None = None, **options: Any) -> ImportDialog:
        dialog = ImportDialog(window.dock.controller, window.dock, path=path, **options)
        made.append(dialog)
        dialog.open()
        window.qtbot.waitExposed(dialog)
        settle(window, dialog)
        return dialog

    yield show
    for dialog in made:
        dialog.reject()


def settle(window: Window, dialog: ImportDialog) -> None:
    window.qtbot.wait(20)
    window.wait(lambda: not dialog.busy)
    window.qtbot.wait(20)


def click_line(dialog: ImportDialog, text: str) -> None:
    """Click the entry of the list of shapes that says `text`."""
    shapes = dialog.form.shapes
    (line,) = (i for i in range(shapes.count()) if shapes.item(i).text() == text)
    shapes.scrollToItem(shapes.item(line))
    place = shapes.visualItemRect(shapes.item(line)).center()
    QTest.mouseClick(shapes.viewport(), LEFT, pos=place)


def choose(box: QComboBox, text: str) -> None:
    """Choose an entry with the keyboard."""
    box.setFocus()
    steps = box.findText(text, Qt.MatchFlag.MatchStartsWith) - box.currentIndex()
    for _ in range(abs(steps)):
        QTest.keyClick(box, Qt.Key.Key_Down if steps > 0 else Qt.Key.Key_Up)
    assert box.currentText().startswith(text)


def type_text(field: Any, text: str) -> None:
    field.setFocus()
    field.selectAll()
    QTest.keyClick(field, Qt.Key.Key_Delete)
    QTest.keyClicks(field, text)


def press(dialog: ImportDialog, which: QDialogButtonBox.StandardButton) -> None:
    QTest.mouseClick(dialog.buttons.button(which), LEFT)


def stripes_upright(dialog: ImportDialog) -> bool:
    """Whether columns of the shown image are alike along their length."""
    grey = dialog.preview.image.grey.astype(float)
    return bool(grey.std(axis=0).mean() < 0.3 * grey.std())


def test_a_stack_gets_the_shape_that_straightens_its_image(
    window: Window, open_dialog: Callable[..., ImportDialog], tmp_path: Path
) -> None:
    data = make_data()
    np.save(tmp_path / "stack.npy", data.reshape(-1, *DETECTOR))
    dialog = open_dialog()
    type_text(dialog.path, str(tmp_path / "stack.npy"))
    settle(window, dialog)
    assert "864" not in dialog.notice.text()
    shown = [dialog.form.shapes.item(i).text() for i in range(dialog.form.shapes.count())]
    assert "24 × 36" in shown
    click_line(dialog, "27 × 32")
    settle(window, dialog)
    assert dialog.preview.image.shape == (27, 32)
    assert not stripes_upright(dialog), "a wrong shape slants the stripes"
    click_line(dialog, "24 × 36")
    settle(window, dialog)
    assert dialog.preview.image.shape == SHAPE
    assert stripes_upright(dialog)
    assert dialog.command.toolTip().endswith("stack.npy --nav-shape 24,36")
    assert "24 × 36 positions · 20 × 28 px · uint16 · 968 kB" in dialog.facts.text()
    press(dialog, OPEN)
    window.wait(lambda: not dialog.isVisible())
    window.settle()
    assert window.session.scan.scan_shape == SHAPE
    assert window.session.scan.reading == {"nav_shape": SHAPE}
    np.testing.assert_array_equal(window.session.scan.pattern(3, 5), data[3, 5])


def test_flyback_columns_are_cut(
    window: Window, open_dialog: Callable[..., ImportDialog], tmp_path: Path
) -> None:
    data = make_data()
    np.save(tmp_path / "stack.npy", data.reshape(-1, *DETECTOR))
    dialog = open_dialog(tmp_path / "stack.npy")
    type_text(dialog.form.shape, "24 × 36")
    dialog.form.flyback.setFocus()
    for _ in range(3):
        QTest.keyClick(dialog.form.flyback, Qt.Key.Key_Up)
    settle(window, dialog)
    assert dialog.preview.image.shape == (24, 33)
    assert dialog.command.toolTip().endswith("--nav-shape 24,36 --flyback 3")
    press(dialog, OPEN)
    window.wait(lambda: not dialog.isVisible())
    np.testing.assert_array_equal(window.session.scan.pattern(2, 32), data[2, 32])
    window.settle()


def test_swapped_and_turned_axes_are_put_right(
    window: Window, open_dialog: Callable[..., ImportDialog], tmp_path: Path
) -> None:
    data = make_data()
    stored = data[::-1].transpose(3, 2, 0, 1)
    np.save(tmp_path / "swapped.npy", stored)
    dialog = open_dialog(tmp_path / "swapped.npy")
    assert dialog.preview.image.shape == (28, 20)
    choose(dialog.form.order, "detector, then scan")
    choose(dialog.form.scan_turn, "upside down")
    choose(dialog.form.detector_turn, "transposed")
    settle(window, dialog)
    assert dialog.form.options()["axes"] == "kx,ky,-y,x"
    assert dialog.preview.image.shape == SHAPE
    assert "--axes kx,ky,-y,x" in dialog.command.toolTip()
    press(dialog, OPEN)
    window.wait(lambda: not dialog.isVisible())
    window.settle()
    np.testing.assert_array_equal(window.session.scan.pattern(3, 5), data[3, 5])


def test_a_data_set_and_an_index_are_chosen(
    window: Window, open_dialog: Callable[..., ImportDialog], tmp_path: Path
) -> None:
    data = make_data()
    with h5py.File(tmp_path / "several.h5", "w") as file:
        file["scans/first"], file["scans/second"] = data, np.stack([data, data[:, ::-1]])
    dialog = open_dialog(tmp_path / "several.h5")
    assert dialog.form.dataset.isVisible()
    assert not dialog.form.indices
    choose(dialog.form.dataset, "scans/second")
    settle(window, dialog)
    (spin,) = dialog.form.indices
    assert spin.isVisible()
    spin.setFocus()
    QTest.keyClick(spin, Qt.Key.Key_Up)
    settle(window, dialog)
    assert dialog.form.indices == [spin], "it is not rebuilt while it is used"
    assert dialog.command.toolTip().endswith("--dataset scans/second --index 1")
    press(dialog, OPEN)
    window.wait(lambda: not dialog.isVisible())
    window.settle()
    np.testing.assert_array_equal(window.session.scan.pattern(0, 0), data[0, -1])


def test_a_click_shows_a_position_and_arrow_keys_move_on(
    window: Window, open_dialog: Callable[..., ImportDialog], tmp_path: Path
) -> None:
    data = make_data()
    np.save(tmp_path / "scan.npy", data)
    dialog = open_dialog(tmp_path / "scan.npy")
    view = dialog.preview.image
    QTest.mouseClick(view, LEFT, pos=view.center_of(7, 20).toPoint())
    settle(window, dialog)
    assert view.mark == (7, 20)
    assert dialog.preview.position.text() == "Pattern of row 7, column 20"
    before = dialog.preview.pattern.grey.copy()
    assert before.shape == DETECTOR
    QTest.keyClick(view, Qt.Key.Key_Down)
    QTest.keyClick(view, Qt.Key.Key_Left)
    settle(window, dialog)
    assert view.mark == (8, 19)
    assert dialog.preview.position.text() == "Pattern of row 8, column 19"
    assert (dialog.preview.pattern.grey != before).any()


def test_flip_and_rotation_turn_the_marks_and_reach_the_scan(
    window: Window, open_dialog: Callable[..., ImportDialog], tmp_path: Path
) -> None:
    np.save(tmp_path / "scan.npy", make_data())
    dialog = open_dialog(tmp_path / "scan.npy")
    arrows = dialog.preview.mean._arrows
    assert (arrows["x"], arrows["y"]) == ((0, 1), (1, 0))
    read = dialog._read_with
    QTest.mouseClick(dialog.form.flip, LEFT, pos=dialog.form.flip.rect().center())
    type_text(dialog.form.rotation.lineEdit(), "90")
    QTest.keyClick(dialog.form.rotation, Qt.Key.Key_Tab)
    arrows = dialog.preview.mean._arrows
    # Turned clockwise by 90° +x points down; the flip makes that up, and leaves +y, the left one.
    np.testing.assert_allclose(arrows["x"], (-1, 0), atol=1e-9)
    np.testing.assert_allclose(arrows["y"], (0, -1), atol=1e-9)
    assert dialog._read_with is read, "nothing is read again"
    assert "--rotation 90.0 --flip" in dialog.command.toolTip()
    press(dialog, OPEN)
    window.wait(lambda: not dialog.isVisible())
    window.settle()
    calibration = window.session.calibration
    assert (calibration.rotation_deg, calibration.flip) == (90, True)
    assert calibration.sources["flip"] == "user"


def test_a_mask_is_taken_and_a_wrong_one_told(
    window: Window, open_dialog: Callable[..., ImportDialog], tmp_path: Path
) -> None:
    np.save(tmp_path / "scan.npy", make_data())
    np.save(tmp_path / "mask.npy", np.pad([[1]], ((2, 17), (3, 24))))
    np.save(tmp_path / "wrong.npy", np.zeros((3, 3)))
    dialog = open_dialog(tmp_path / "scan.npy")
    for name, told in (("wrong.npy", "(3, 3)"), ("mask.npy", "")):
        type_text(dialog.form.bad_pixels, str(tmp_path / name))
        QTest.keyClick(dialog.form.bad_pixels, Qt.Key.Key_Return)
        settle(window, dialog)
        assert dialog.isVisible()
        assert told in dialog.notice.text()
    assert not dialog.notice.isVisible()
    assert dialog.preview.scan.bad_pixels[2, 3]


def test_errors_stay_in_the_dialog_and_cancel_changes_nothing(
    window: Window, open_dialog: Callable[..., ImportDialog], tmp_path: Path, told: list[str]
) -> None:
    np.save(tmp_path / "scan.npy", make_data())
    window.dock.controller.open_scan(tmp_path / "scan.npy")
    window.settle()
    scan = window.session.scan
    (tmp_path / "text.txt").write_text("nothing")
    dialog = open_dialog()
    assert not dialog.buttons.button(OPEN).isEnabled(), "nothing is chosen yet"
    type_text(dialog.path, str(tmp_path / "text.txt"))
    settle(window, dialog)
    assert "text.txt" in dialog.notice.text()
    assert not dialog.buttons.button(OPEN).isEnabled()
    np.save(tmp_path / "gone.npy", make_data())
    type_text(dialog.path, str(tmp_path / "gone.npy"))
    settle(window, dialog)
    (tmp_path / "gone.npy").unlink()
    press(dialog, OPEN)
    settle(window, dialog)
    assert dialog.isVisible()
    assert "There is no file" in dialog.notice.text()
    type_text(dialog.path, str(tmp_path / "scan.npy"))
    settle(window, dialog)
    assert not dialog.notice.isVisible()
    type_text(dialog.form.shape, "7")
    press(dialog, OPEN)
    assert "two numbers" in dialog.notice.text()
    assert dialog.isVisible()
    type_text(dialog.form.shape, "36 x 24")
    press(dialog, CANCEL)
    assert not dialog.isVisible()
    window.settle()
    assert window.session.scan is scan
    assert told == []


def test_a_file_dropped_on_the_dialog_is_recognized(
    window: Window, open_dialog: Callable[..., ImportDialog], tmp_path: Path
) -> None:
    np.save(tmp_path / "scan.npy", make_data())
    dialog = open_dialog()
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / "scan.npy"))])
    about = (Qt.DropAction.CopyAction, data, LEFT, Qt.KeyboardModifier.NoModifier)
    for event in (QDragEnterEvent(QPoint(50, 50), *about), QDropEvent(QPointF(50, 50), *about)):
        QApplication.sendEvent(dialog, event)
        assert event.isAccepted()
    settle(window, dialog)
    assert dialog.path.text() == str(tmp_path / "scan.npy")
    assert dialog.preview.image.shape == SHAPE
    QTest.mouseClick(dialog.copy, LEFT)
    assert QGuiApplication.clipboard().text() == f"polmap info {tmp_path / 'scan.npy'}"


def test_a_preset_is_saved_offered_used_and_deleted(
    window: Window, open_dialog: Callable[..., ImportDialog], tmp_path: Path
) -> None:
    data = make_data()
    np.save(tmp_path / "a.npy", data.transpose(2, 3, 0, 1))
    np.save(tmp_path / "b.npy", data[:12].transpose(2, 3, 0, 1))
    np.save(tmp_path / "other.npy", data[..., :9])
    dialog = open_dialog(tmp_path / "a.npy")
    assert not dialog.presets.save.isEnabled()
    choose(dialog.form.order, "detector, then scan")
    QTest.mouseClick(dialog.form.flip, LEFT, pos=dialog.form.flip.rect().center())
    settle(window, dialog)
    type_text(dialog.presets.names.lineEdit(), "Our detector")
    QTest.mouseClick(dialog.presets.save, LEFT)
    (saved,) = load_presets()
    assert (saved.kind.format, saved.kind.detector) == ("npy", DETECTOR)
    assert saved.options == {"axes": "ky,kx,y,x", "flip": True}
    dialog.reject()

    dialog = open_dialog(tmp_path / "b.npy")
    assert dialog.preview.image.shape == DETECTOR, "a preset is offered, not taken silently"
    assert "Our detector" in dialog.offer.text()
    QTest.mouseClick(dialog.presets.use, LEFT)
    settle(window, dialog)
    assert dialog.preview.image.shape == (12, 36)
    assert dialog.form.flip.isChecked()
    assert not dialog.offer.isVisible()
    dialog.reject()

    dialog = open_dialog(tmp_path / "other.npy")
    assert not dialog.offer.isVisible()
    type_text(dialog.presets.names.lineEdit(), "Our detector")
    QTest.mouseClick(dialog.presets.delete, LEFT)
    assert load_presets() == []
    assert not dialog.presets.use.isEnabled()


def test_a_scan_is_opened_again_with_other_options(
    window: Window, open_dialog: Callable[..., ImportDialog], tmp_path: Path
) -> None:
    data = make_data()
    np.save(tmp_path / "stack.npy", data.reshape(-1, *DETECTOR))
    window.dock.controller.open_scan(tmp_path / "stack.npy", nav_shape=SHAPE, flyback=4, flip=True)
    window.settle()
    section = window.dock.scan_section
    QTest.mouseClick(section.again, LEFT)
    (dialog,) = section.findChildren(ImportDialog)
    settle(window, dialog)
    assert dialog.form.options() == {"nav_shape": SHAPE, "flyback": 4, "flip": True}
    assert dialog.preview.image.shape == (24, 32)
    dialog.form.flyback.setFocus()
    for _ in range(4):
        QTest.keyClick(dialog.form.flyback, Qt.Key.Key_Down)
    settle(window, dialog)
    assert dialog.form.options() == {"nav_shape": SHAPE, "flip": True}
    press(dialog, OPEN)
    window.wait(lambda: window.session.scan.scan_shape == SHAPE)
    window.settle()
    assert window.session.calibration.flip


def test_what_was_kept_stands_in_the_dialog_and_is_taken_again(
    window: Window, open_dialog: Callable[..., ImportDialog], tmp_path: Path
) -> None:
    path = tmp_path / "scan.npy"
    np.save(path, make_data())
    save_sidecar(load_scan(path, axes="x,y,ky,kx", rotation_deg=20, step_nm=0.5))
    dialog = open_dialog(path)
    assert dialog.form.options() == {"axes": "x,y,ky,kx", "rotation_deg": 20}
    press(dialog, OPEN)
    window.wait(lambda: not dialog.isVisible())
    window.settle()
    assert window.session.scan.scan_shape == SHAPE[::-1]
    assert (window.session.calibration.step_nm, window.session.calibration.rotation_deg) == (
        0.5,
        20,
    )
    # Another reading than the kept one is what the user sees, and gets.
    dialog = open_dialog(path)
    choose(dialog.form.scan_turn, "as stored")
    settle(window, dialog)
    press(dialog, OPEN)
    window.wait(lambda: not dialog.isVisible())
    window.settle()
    assert window.session.scan.scan_shape == SHAPE


def test_the_docks_question_leads_to_all_options(window: Window, tmp_path: Path) -> None:
    data = make_data()
    with h5py.File(tmp_path / "two.h5", "w") as file:
        file["one"], file["two"] = data, data
    window.dock.controller.open_scan(tmp_path / "two.h5")
    window.settle()
    question = window.dock.scan_section.question
    assert question.isVisible()
    assert "several data sets" in question.message.text()
    assert not question.shape.isVisible(), "the shape is not what is missing"
    QTest.mouseClick(question.more, LEFT)
    (dialog,) = question.findChildren(ImportDialog)
    settle(window, dialog)
    choose(dialog.form.dataset, "two")
    settle(window, dialog)
    press(dialog, CANCEL)
    assert question.isVisible(), "cancel leaves the question"
    QTest.mouseClick(question.more, LEFT)
    dialog = question.findChildren(ImportDialog)[-1]
    settle(window, dialog)
    press(dialog, OPEN)
    window.wait(lambda: window.session.scan is not None)
    window.settle()
    assert not question.isVisible()


def test_gigabytes_never_hold_the_window_up(
    window: Window, open_dialog: Callable[..., ImportDialog], tmp_path: Path
) -> None:
    path = tmp_path / "large.npy"
    # A file with holes: its size is real, its place on the disk is not.
    large = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint16, shape=(256,) * 4)
    large[::64, ::64, 100:140, 100:140] = 1
    del large
    np.save(tmp_path / "small.npy", make_data())
    dialog = open_dialog(tmp_path / "small.npy")  # imports
    pauses, last = [], time.perf_counter()

    def beat() -> None:
        nonlocal last
        pauses.append(time.perf_counter() - last)
        last = time.perf_counter()

    heart = QTimer(dialog)
    heart.timeout.connect(beat)
    heart.start(10)
    start = time.perf_counter()
    dialog.path.setText(str(path))
    QTest.keyClick(dialog.path, Qt.Key.Key_End)
    window.wait(lambda: dialog.preview.image.shape == (256, 256))
    # 1 s on a quiet machine, 0.3 s of which wait for the end of typing.
    assert time.perf_counter() - start < 6
    click_line(dialog, "128 × 512")
    window.wait(lambda: dialog.preview.image.shape == (128, 512))
    heart.stop()
    assert max(pauses) < 1.0


@pytest.mark.skipif(not REAL.is_dir(), reason="no real files here")
@pytest.mark.parametrize(
    ("name", "shape", "known"),
    [
        ("hdf5/cryo_24x40.hspy", (24, 40, 128, 128), "step 3.125 nm"),
        ("emd/Si100_4D.emd", (11, 11, 8, 8), "positions"),
        ("tvips/test_tvips_2345_split_000.tvips", (2, 3, 4, 5), "uint16"),
    ],
)
def test_files_of_instruments(
    window: Window,
    open_dialog: Callable[..., ImportDialog],
    tmp_path: Path,
    name: str,
    shape: tuple[int, ...],
    known: str,
) -> None:
    # A copy: what is chosen is kept beside the file.
    folder = shutil.copytree((REAL / name).parent, tmp_path / "real")
    dialog = open_dialog(folder / Path(name).name)
    assert known in dialog.facts.text()
    assert dialog.preview.scan.shape == shape
    assert dialog.preview.image.shape == shape[:2]
    assert not dialog.notice.isVisible()
    press(dialog, OPEN)
    window.wait(lambda: not dialog.isVisible())
    window.settle()
    assert window.session.scan.shape == shape
