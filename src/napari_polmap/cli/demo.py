"""``polmap demo``: the bundled scan, classified, in napari or as files."""

from __future__ import annotations

import os
import sys
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_polmap.cli.output import fail, note, print_table, progress_bar, share, warn
from napari_polmap.errors import ExportError, unwritable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from napari_polmap.polarization_map import PolarizationMap
    from napari_polmap.scan import Scan

SCAN = "demo_knn.hspy"
TRUTH = "demo_knn_truth.tif"
DEFECTS = "demo_knn_defects.tif"
_BACKGROUND = "bright field"


def demo(
    headless: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write files into this folder instead of opening napari.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Classify the bundled scan: in napari, or as files.

    The scan is simulated: two domains of (K,Na)NbO3 with a wall and one defect, 64 x 64 probe
    positions over 8 x 8 unit cells. With --headless the map (map.zarr), figures (direction.png,
    confidence.png, defects.png), the label image (labels.tif), the table (map.csv) and, where there
    is a display, a picture of the window (window.png) are written, and the accuracy against the
    bundled truth is printed.
    """
    if headless is not None:
        _write_files(headless)
        return
    if not _has_display():
        fail("There is no display for a window; write files with 'polmap demo --headless DIR'.")
    if sys.platform == "win32":
        # There torch finds its libraries only if it is loaded before Qt.
        import torch  # noqa: F401
    from napari_polmap.viewer.launch import launch

    launch(demo=True)


def _has_display() -> bool:
    named = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(named) or not sys.platform.startswith("linux")


def _write_files(folder: Path) -> None:
    from napari_polmap import classify, load_classifier, load_scan

    folder = folder.expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(unwritable(f"The folder {folder}", folder / "map.zarr", error)) from error
    with as_file(files("napari_polmap") / "data") as data:
        scan = load_scan(data / SCAN)
        with progress_bar("positions") as advance:
            result = classify(
                scan,
                load_classifier("default"),
                progress=lambda step: advance(step.done, step.total, step.remaining_s),
            )
        labels, defects = _image(data / TRUTH), _image(data / DEFECTS)
        written = _export(result, scan, folder)
    for path in written:
        typer.echo(str(path))
    typer.echo("")
    _print_accuracy(result, labels, defects)
    warn(result.warnings)
    if not _has_display():
        note("There is no display, so that no picture of the window was made.")
        return
    from napari_polmap.viewer.launch import screenshot

    typer.echo("")
    typer.echo(str(screenshot(folder / "window.png")))


def _export(result: PolarizationMap, scan: Scan, folder: Path) -> list[Path]:
    from napari_polmap import export_csv, export_image, export_labels
    from napari_polmap.diffraction.detectors import preset
    from napari_polmap.diffraction.virtual import virtual_image

    background = virtual_image(scan, preset(_BACKGROUND, result.calibration))
    return [
        result.save(folder / "map.zarr"),
        export_image(result, folder / "direction.png", background=background),
        export_image(result, folder / "confidence.png", layer="confidence"),
        export_image(result, folder / "defects.png", layer="defects"),
        export_labels(result, folder / "labels.tif"),
        export_csv(result, folder / "map.csv"),
    ]


def _image(path: Path) -> npt.NDArray[Any]:
    import tifffile

    image: npt.NDArray[Any] = tifffile.imread(path)
    return image


def _print_accuracy(
    result: PolarizationMap, labels: npt.NDArray[np.uint8], defects: npt.NDArray[np.uint8]
) -> None:
    import numpy as np

    from napari_polmap.analysis.labels import interior
    from napari_polmap.directions import NOT_COMPUTED

    right = result.direction == labels
    inner = interior(labels, defects.astype(bool), result.calibration.cell_positions or 0.0)
    rows = []
    for index in np.unique(labels[labels != NOT_COMPUTED]):
        domain = labels == index
        inside = domain & inner
        decided = inside & ~result.undecided
        rows.append(
            (
                result.shown_directions.label(int(index)),
                f"{domain.sum():,}",
                share(right[domain].mean()),
                f"{inside.sum():,}",
                share(right[inside].mean() if inside.any() else None),
                share(decided.sum() / inside.sum() if inside.any() else None),
            )
        )
    head = ("domain", "positions", "accuracy", "inner positions", "accuracy", "decided")
    print_table(head, rows)
    typer.echo("Inner positions lie further than one unit cell from the wall and the defect.")
