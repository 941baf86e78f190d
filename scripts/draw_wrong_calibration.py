"""Draw the maps of docs/wrong-calibration.md: the demo scan with one calibration value wrong each.

    python scripts/draw_wrong_calibration.py

Writes docs/images/wrong-calibration.png and prints the page's table. What a wrong value does to the
data (descan, distortion, hot pixels) is done to the demo's patterns; everything else is only told
wrongly to the classifier. The default classifier is used as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path

import matplotlib
import numpy as np
import tifffile
from scipy.ndimage import affine_transform, shift

import napari_polmap as polmap
from napari_polmap.analysis.labels import interior
from napari_polmap.calibration import Calibration
from napari_polmap.errors import PolmapError
from napari_polmap.export.colors import layer_image

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.patches import Patch

OUT = Path(__file__).parents[1] / "docs" / "images" / "wrong-calibration.png"


def told(**values: object) -> Callable[[polmap.Scan], polmap.Scan]:
    """Tell the classifier other values."""
    return lambda scan: scan.calibrated("user", **values)


def with_data(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[polmap.Scan], polmap.Scan]:
    """Change the patterns; the calibration stays."""
    return lambda scan: polmap.Scan(change(np.asarray(scan.data)), scan.calibration)


def descan(data: np.ndarray) -> np.ndarray:
    """Move the beam by 3 pixels from the left to the right edge of the scan."""
    moved = np.empty_like(data)
    for x, by in enumerate(np.linspace(-1.5, 1.5, data.shape[1])):
        moved[:, x] = shift(data[:, x].astype(np.float32), (0, 0, by), order=1, mode="nearest")
    return moved


def stretched(data: np.ndarray) -> np.ndarray:
    """Stretch the patterns by 10 % along a diagonal."""
    calibration = Calibration(ellipse=(1.10, 30.0))
    matrix = np.linalg.inv(calibration.distortion())
    middle = (np.array(data.shape[2:]) - 1) / 2
    out = np.empty_like(data)
    for place in np.ndindex(data.shape[:2]):
        out[place] = affine_transform(
            data[place].astype(np.float32), matrix, middle - matrix @ middle, order=1
        )
    return out


def hot(data: np.ndarray) -> np.ndarray:
    """Three pixels that always count as much as the brightest one."""
    out = data.copy()
    rows, columns = data.shape[2] // 2, data.shape[3] // 2
    for row, column in ((rows - 9, columns + 4), (rows + 3, columns - 11), (rows, columns + 12)):
        out[:, :, row, column] = data.max()
    return out


def main() -> None:
    """Classify the demo scan once for each wrong value, and draw the maps."""
    with as_file(files("napari_polmap") / "data") as folder:
        scan = polmap.load_scan(folder / "demo_knn.hspy")
        truth = tifffile.imread(folder / "demo_knn_truth.tif")
        defects = tifffile.imread(folder / "demo_knn_defects.tif").astype(bool)
    calibration = scan.calibration
    assert calibration.center_px is not None
    assert calibration.radius_px is not None
    assert calibration.lattice_nm is not None
    radius, (ky, kx) = calibration.radius_px, calibration.center_px
    cases: dict[str, Callable[[polmap.Scan], polmap.Scan]] = {
        "right": lambda scan: scan,
        "detector rotation off by 5°": told(rotation_deg=5.0),
        "detector rotation off by 45°": told(rotation_deg=45.0),
        "detector rotation off by 180°": told(rotation_deg=180.0),
        "detector flipped": told(flip=True),
        "center off by 2 % of R": told(center_px=(ky, kx + 0.02 * radius)),
        "center off by 5 % of R": told(center_px=(ky, kx + 0.05 * radius)),
        "center off by 15 % of R": told(center_px=(ky, kx + 0.15 * radius)),
        "radius 5 % too large": told(radius_px=1.05 * radius),
        "radius 15 % too large": told(radius_px=1.15 * radius),
        "lattice period half": told(lattice_nm=calibration.lattice_nm / 2),
        "lattice period 30 % off": told(lattice_nm=1.3 * calibration.lattice_nm),
        "crystal angle off by 20°": told(crystal_angle_deg=20.0),
        "descan of 3 px": with_data(descan),
        "patterns stretched by 10 %": with_data(stretched),
        "three hot pixels": with_data(hot),
    }
    inner = interior(truth, defects, calibration.cell_positions or 0.0)
    classifier = polmap.load_classifier("default")
    names = classifier.directions.names
    figure, axes = plt.subplots(4, 4, figsize=(9, 9.9), layout="constrained")
    print("| calibration | right | decided | what the program says |\n|---|---|---|---|")
    for axis, (name, change) in zip(axes.flat, cases.items(), strict=True):
        axis.set_axis_off()
        try:
            result = polmap.classify(change(scan), classifier, force=True)
        except PolmapError as error:
            axis.set_title(f"{name}\nrefused", fontsize=9)
            print(f"| {name} | refused | | {error} |")
            continue
        right = float((result.direction == truth)[inner].mean())
        decided = float(1 - result.undecided[inner].mean())
        shown = [names[k] for k in np.argsort(-np.bincount(result.direction[inner], minlength=8))]
        axis.imshow(layer_image(result, "direction"), interpolation="nearest")
        axis.set_title(f"{name}\n{right:.0%} right, mostly {shown[0]}, {shown[1]}", fontsize=9)
        print(f"| {name} | {right:.3f} | {decided:.3f} | {'; '.join(result.warnings)} |")
    colors = classifier.directions.colors
    figure.legend(
        handles=[
            Patch(color=np.asarray(color[:3]), label=f"{name} {angle:.0f}°")
            for name, angle, color in zip(
                names, classifier.directions.angles_deg, colors, strict=True
            )
        ],
        loc="outside lower center",
        ncols=8,
        fontsize=9,
        columnspacing=1.2,
        handlelength=1.5,
        frameon=False,
    )
    figure.savefig(OUT, dpi=100)


if __name__ == "__main__":
    main()
