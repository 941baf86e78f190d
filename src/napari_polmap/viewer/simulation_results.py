"""Running a simulation for a window: where it is kept, its steps, and what it made as layers."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_polmap.calibration import Calibration
from napari_polmap.directions import DirectionSet
from napari_polmap.errors import PolmapError, reason
from napari_polmap.io.datasets import LabelledDataset, load_dataset
from napari_polmap.scan import Scan
from napari_polmap.simulation.run import (
    STATE,
    Estimate,
    Progress,
    Simulated,
    estimate,
    iter_simulate,
    plan_work,
)
from napari_polmap.simulation.spec import Spec
from napari_polmap.simulation.spec_text import write_spec
from napari_polmap.viewer.layers import (
    POLARIZATION_OPACITY,
    LayerData,
    geometry,
    label_colormap,
    label_features,
)
from napari_polmap.viewer.preview import Image
from napari_polmap.viewer.reader import open_scan
from napari_polmap.viewer.tags import KEY

DESCRIPTION = "simulation.toml"
"""The description that a folder was made from, as the user can open it again."""
DEFECT_COLOR = (1.0, 0.25, 0.2, 1.0)


@dataclass(frozen=True)
class Made:
    """What a simulation has made.

    Parameters
    ----------
    simulated : Simulated
        Folder and data sets.
    dataset : LabelledDataset or None
        The first of the data sets.
    check : str
        Of specimens: whether anything but the polarization tells the directions apart.
    """

    simulated: Simulated
    dataset: LabelledDataset | None
    check: str = ""


@dataclass(frozen=True, eq=False)
class OpenedScene:
    """A simulated scan with its truth.

    Parameters
    ----------
    scan : Scan
    image : ndarray, shape (y, x)
        A first virtual image.
    layers : list of LayerData
        Truth, bottom to top.
    """

    scan: Scan
    image: Image
    layers: list[LayerData]


def default_jobs() -> int:
    """One process for each core that this one may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


# Where it is kept


def simulations_folder() -> Path:
    """Where simulations lie that the user chose no folder for: with the documents."""
    from platformdirs import user_documents_path

    return user_documents_path() / "napari-polmap" / "simulations"


def default_folder(spec: Spec, base: Path | None = None) -> Path:
    """A folder of the simulation's name that is new, or was made from the same description."""
    stem = re.sub(r"[^\w+-]+", "-", spec.name).strip("-")[:60] or "simulation"
    base = simulations_folder() if base is None else base
    number = 1
    folder = base / stem
    while folder_state(spec, folder) == "other":
        number += 1
        folder = base / f"{stem}-{number}"
    return folder


def folder_state(spec: Spec, folder: Path) -> str:
    """Whose a folder is: ``new``, ``same`` (as this description's), or ``other``."""
    state = folder / STATE
    try:
        if state.is_file():
            told = json.loads(state.read_text(encoding="utf-8"))
            return "same" if told.get("sha256") == spec.sha256 else "other"
        return "other" if (folder / "scans").exists() or folder.is_file() else "new"
    except (OSError, ValueError, AttributeError):
        return "other"


# Steps


@dataclass(frozen=True)
class Outlook:
    """What a simulation is going to cost, and what is there of it.

    Parameters
    ----------
    estimate : Estimate
        Of what is left.
    folder : Path
        Where it goes.
    state : str
        See `folder_state`.
    pieces, left : int
        Runs and blocks, and those that are not finished.
    """

    estimate: Estimate
    folder: Path
    state: str
    pieces: int
    left: int


def iter_estimate(
    spec: Spec, folder: Path | None, jobs: int, device: str, memory_mb: float
) -> Generator[Outlook, None, None]:
    """What a simulation costs: at once without the time, then with it."""
    place = default_folder(spec) if folder is None else folder
    state = folder_state(spec, place)
    known = place if state == "same" else None
    options: dict[str, Any] = {"jobs": jobs, "device": device, "memory_mb": memory_mb}
    work = plan_work(spec, known)
    told = (place, state, len(work.pieces), len(work.left))
    yield Outlook(estimate(spec, known, measure=False, **options), *told)
    if work.left:
        yield Outlook(estimate(spec, known, **options), *told)


def iter_make(
    spec: Spec, values: Mapping[str, Any], folder: Path, jobs: int, device: str, memory_mb: float
) -> Generator[Progress, None, Made]:
    """Simulate into a folder; what is finished stays when it is closed."""
    steps = iter_simulate(spec, folder, jobs=jobs, device=device, memory_mb=memory_mb)
    try:
        first = next(steps)
        write_spec(folder / DESCRIPTION, values, spec.root)
        yield first
        simulated = yield from steps
    finally:
        # Ends the processes, also where the caller just lets go.
        steps.close()
    dataset = load_dataset(simulated.datasets[0]) if simulated.datasets else None
    check = _check(dataset) if spec.specimens is not None and dataset is not None else ""
    return Made(simulated, dataset, check)


def _check(dataset: LabelledDataset) -> str:
    from napari_polmap.simulation.report import confounders

    try:
        return confounders(dataset).sentence()
    except PolmapError as error:
        return str(error)


# What came of it


def iter_open_scene(dataset: LabelledDataset, index: int) -> Generator[None, None, OpenedScene]:
    """Open a simulated scan of a scene with its truth images.

    Raises
    ------
    PolmapError
        If a file is not there any more.
    """
    entry = dataset.scans[index]
    yield
    # The data set's file also tells what the scan's own does not, such as the crystal's angle.
    scan, image = open_scan(entry.path, **entry.reading, **entry.calibration)
    return OpenedScene(scan, image, truth_layers(scan, dataset.directions, entry.path))


def truth_layers(scan: Scan, directions: DirectionSet, path: Path) -> list[LayerData]:
    """Thickness, directions and defects of a simulated scene, as layers.

    Parameters
    ----------
    scan : Scan
        As simulated.
    directions : DirectionSet
        Of the labels, in the crystal's frame.
    path : Path
        The scan's file, beside which the truth lies.

    Raises
    ------
    PolmapError
        If the truth cannot be read.
    """
    shown = directions.rotated(scan.calibration.crystal_angle_deg)
    layers: list[LayerData] = []
    thickness = _image(path, "thickness_nm")
    if thickness is not None:
        low, high = float(thickness.min()), float(thickness.max())
        more = {"colormap": "viridis", "contrast_limits": (low, high if high > low else low + 1)}
        layers.append(_layer(scan, path, "thickness (nm)", thickness, more, "image"))
    labels = _image(path, "truth")
    if labels is not None:
        more = {
            "colormap": label_colormap(shown),
            "features": label_features(shown),
            "opacity": POLARIZATION_OPACITY,
        }
        layers.append(_layer(scan, path, "true directions", labels, more, "labels"))
    defects = _image(path, "defects")
    if defects is not None:
        from napari.utils.colormaps import DirectLabelColormap

        clear = (0.0, 0.0, 0.0, 0.0)
        colors = DirectLabelColormap(color_dict={0: clear, 1: DEFECT_COLOR, None: clear})
        layers.append(_layer(scan, path, "defects", defects, {"colormap": colors}, "labels"))
    return layers


def _layer(
    scan: Scan, path: Path, title: str, data: Any, more: dict[str, Any], kind: str
) -> LayerData:
    calibration: Calibration = scan.calibration
    arguments = {
        "name": f"{scan.name}: {title}",
        "metadata": {KEY: {"role": f"simulated {title}", "provenance": {"path": str(path)}}},
        **geometry(calibration),
        **more,
    }
    if title.startswith(("thickness", "defects")):
        arguments["visible"] = title == "defects" and bool(np.any(data))
    return data, arguments, kind


def _image(path: Path, part: str) -> Any:
    import tifffile

    file = path.with_name(f"{path.stem}_{part}.tif")
    if not file.exists():
        return None
    try:
        return tifffile.imread(file)
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise PolmapError(
            f"The truth image {file} cannot be read ({reason(error)}); simulate it again."
        ) from error
