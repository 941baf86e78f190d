from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_polmap.directions import DirectionSet
from napari_polmap.errors import DatasetError
from napari_polmap.io.datasets import LabelledDataset, LabelledScan
from napari_polmap.simulation.report import confounders

NAMES = DirectionSet.default().names


def dataset(confounded: str = "", specimens: int = 12) -> LabelledDataset:
    """All directions of each specimen at two thicknesses, conditions drawn independently or not."""
    rng = np.random.default_rng(0)
    scans = []
    for seed in range(specimens):
        lattice = rng.uniform(0.39, 0.40)
        for number, name in enumerate(NAMES):
            azimuth = 45.0 * number if confounded == "tilt" else rng.uniform(0, 360)
            conditions: dict[str, Any] = {
                "tilt_mrad": 4 * np.sqrt(rng.random()),
                "tilt_azimuth_deg": azimuth,
                "defocus_nm": rng.uniform(-5, 5) + (2 * number if confounded == "defocus" else 0),
                "thermal": ("none", "debye-waller", "frozen phonon")[seed % 3],
            }
            for thickness in (10.0, 20.0 + (number if confounded == "thickness" else 0)):
                scans.append(
                    LabelledScan(
                        Path(f"{seed}_{name}_{thickness}.npy"),
                        (name,),
                        None,
                        f"seed-{seed}",
                        calibration={"lattice_nm": lattice, "center_px": (3.0, 3.0)},
                        conditions={**conditions, "thickness_nm": thickness},
                    )
                )
    return LabelledDataset("a set", DirectionSet.default(), tuple(scans))


def test_independent_conditions_tell_nothing() -> None:
    report = confounders(dataset())
    assert (report.runs, report.groups, report.directions) == (96, 12, 8)
    assert report.chance == 1 / 8
    assert report.interval is not None
    assert report.interval[0] < 1 / 8
    assert report.confounded == ()
    assert report.balanced
    assert report.sentence().startswith("Nothing but the polarization")
    text = report.markdown("a set")
    assert "| tilt_x_mrad |" in text
    assert "96 runs of 12 specimens with 8 directions" in text


@pytest.mark.parametrize(("cause", "told"), [("tilt", "tilt_x_mrad"), ("defocus", "defocus_nm")])
def test_a_confounder_is_found(cause: str, told: str) -> None:
    report = confounders(dataset(cause))
    assert report.accuracy is not None
    assert report.accuracy > 0.25
    assert told in report.confounded
    assert "all conditions together" in report.confounded
    assert "draw these independently" in report.sentence()


def test_thicknesses_that_differ_between_directions_are_told() -> None:
    report = confounders(dataset("thickness"))
    assert not report.balanced
    assert "Not every specimen" in report.markdown("a set")


def test_a_single_specimen_shows_nothing() -> None:
    report = confounders(dataset(specimens=1))
    assert report.accuracy is None
    assert "simulate more" in report.sentence()


def test_scans_without_a_single_direction_are_refused() -> None:
    one = dataset(specimens=1)
    scans = (LabelledScan(Path("a.npy"), None, Path("a.tif"), "g"), *one.scans)
    with pytest.raises(DatasetError, match="no single direction"):
        confounders(LabelledDataset("x", one.directions, scans))
    with pytest.raises(DatasetError, match="two directions"):
        confounders(LabelledDataset("x", one.directions, one.scans[:2]))
