"""Pack the simulated demo scan as it is bundled: small, and telling what a microscope's file tells.

    polmap simulate examples/demo_scan.toml -o build/demo-scan
    python examples/pack_demo_scan.py build/demo-scan

Writes the scan, its truth, the place of the defect, and a labelled data set that names them. Counts
are kept in one byte where they fit; where the beam is, has to be measured.
"""

from __future__ import annotations

import argparse
import shutil
import tomllib
from pathlib import Path

import numpy as np

from napari_polmap.simulation.dataset import write_dataset

PACKAGE_DATA = Path(__file__).parents[1] / "src" / "napari_polmap" / "data"
# The user's file tells these, or the program measures them.
LEFT_OUT = ("step_nm", "mrad_per_pixel", "center", "radius_px", "energy_kv", "semi_angle_mrad")


def pack_scan(source: Path, target: Path) -> None:
    """Write a scan's counts in the smallest type that holds them."""
    import hyperspy.api as hs

    signal = hs.load(source)
    counts = signal.data
    smallest = np.uint8 if counts.max() <= np.iinfo(np.uint8).max else counts.dtype
    signal.change_dtype(smallest)
    for axis in signal.axes_manager.signal_axes:
        axis.offset = 0.0
    part = target.with_name("part_" + target.name)
    signal.save(part, overwrite=True, compression="gzip", chunks=(8, 8, *counts.shape[2:]))
    part.replace(target)


def main() -> None:
    """Pack one scene of a folder that `polmap simulate` has written."""
    parser = argparse.ArgumentParser(description="Pack the demo scan.")
    parser.add_argument("folder", type=Path, help="what polmap simulate has written")
    parser.add_argument("--out", type=Path, default=PACKAGE_DATA)
    parser.add_argument("--name", default="demo_knn")
    options = parser.parse_args()

    told = tomllib.loads((options.folder / "scenes.toml").read_text(encoding="utf-8"))
    (entry,) = told["scan"]
    scan, truth = options.folder / entry["path"], options.folder / entry["truth"]
    options.out.mkdir(parents=True, exist_ok=True)
    pack_scan(scan, options.out / f"{options.name}.hspy")
    for image in ("truth", "defects"):
        shutil.copyfile(
            truth.with_name(f"{scan.stem}_{image}.tif"), options.out / f"{options.name}_{image}.tif"
        )
    kept = {key: value for key, value in entry.items() if key not in LEFT_OUT}
    kept |= {"path": f"{options.name}.hspy", "truth": f"{options.name}_truth.tif"}
    write_dataset(
        options.out / f"{options.name}.toml",
        told["name"],
        told["directions"],
        [kept],
        comment="Made by polmap simulate and examples/pack_demo_scan.py",
    )


if __name__ == "__main__":
    main()
