"""What is simulated for a scan, and why not."""

from __future__ import annotations

from typing import Any

import pytest

from napari_polmap.classifiers.recipes import Recipe
from napari_polmap.diffraction.preprocessing import Preprocessing
from napari_polmap.errors import CalibrationError, PolmapError
from napari_polmap.mapping import scan_spec
from napari_polmap.mapping.scan_spec import (
    SPECIMENS,
    classifier_name,
    recipe_for_scan,
    spec_for_scan,
)
from napari_polmap.simulation.cells import make_cell
from napari_polmap.simulation.ranges import Range
from napari_polmap.simulation.run import estimate
from napari_polmap.simulation.spec import spec_from
from tests.mapping.made import make_scan


def test_what_the_scan_tells_is_simulated() -> None:
    values = spec_for_scan(make_scan(), thickness_nm=(20, 40))
    spec = spec_from(values)
    assert spec.specimens is not None
    assert (spec.microscope.energy_kv, spec.microscope.semi_angle_mrad) == (200, 24)
    # 1 % around the scan's period, 3.96 Å.
    assert spec.crystal.lattice_angstrom == Range(3.92, 4.0)
    assert spec.specimens.thickness_nm == (20, 25, 30, 35, 40)
    assert {n: len(s) for n, s in spec.specimens.sets.items()} == dict(
        zip(("train", "test"), SPECIMENS["quick"], strict=True)
    )
    # As many positions as average the cell exactly, see the default description's.
    assert spec.specimens.positions == 8
    assert spec.numerics.half_width > recipe_for_scan(make_scan()).preprocessing.extent * 1.05
    assert classifier_name(values) == "knn-200kv-24mrad-20-40nm"
    cost = estimate(spec, measure=False)
    # Two simulations of each specimen give the eight directions.
    assert cost.positions == sum(SPECIMENS["quick"]) * 2 * 64
    assert cost.scans == sum(SPECIMENS["quick"]) * 8 * 5


@pytest.mark.parametrize(
    ("calibration", "material"),
    [
        ({"lattice_nm": None}, "BaTiO3"),
        ({"lattice_nm": 0.4, "energy_kv": 300.0, "semi_angle_mrad": 30.0}, "PbTiO3"),
        ({"energy_kv": 80.0, "semi_angle_mrad": 35.0}, "KNN"),
        ({}, {"material": "KNN", "order": "in turn", "thermal": "none"}),
    ],
)
def test_other_scans_and_materials_can_be_simulated(
    calibration: dict[str, Any], material: Any
) -> None:
    for quality in ("quick", "full"):
        values = spec_for_scan(
            make_scan(**calibration), material, thickness_nm=(5, 60), quality=quality
        )
        assert estimate(spec_from(values), measure=False).positions > 1000
        if isinstance(material, dict):
            assert values["crystal"]["order"] == "in turn"


def test_the_lattice_of_a_structure_file_is_scaled_to_the_scan(tmp_path: Any) -> None:
    from pathlib import Path

    cif = Path(__file__).parents[2] / "examples" / "lead_zirconate_titanate.cif"
    crystal = {
        "file": str(cif),
        "thermal": "none",
        "displacements": {"RM": {"Zr": [0.0, 0.1, 0.0]}, "LM": {"Zr": [0.0, -0.1, 0.0]}},
    }
    own = make_cell(
        spec_from({"crystal": crystal, "specimens": {"sets": {"train": "1"}, "thickness_nm": 1}}),
        1,
    )[0]
    edge = sum(own.lengths_angstrom[:2]) / 2
    values = spec_for_scan(
        make_scan(lattice_nm=1.03 * edge / 10), crystal, thickness_nm=(5, 5), specimens=4
    )
    low, high = values["crystal"]["lattice_scale"].values()
    assert (low + high) / 2 == pytest.approx(1.03, abs=0.003)
    assert values["specimens"]["sets"] == {"train": "1-4", "test": "100001-100001"}
    assert values["specimens"]["thickness_nm"] == [5]


@pytest.mark.parametrize(
    ("calibration", "options", "told"),
    [
        ({"energy_kv": None}, {}, "acceleration voltage.*Calibration dock, or with --energy"),
        ({"semi_angle_mrad": None}, {}, "semi-angle.*--semi-angle MRAD"),
        ({"step_nm": None}, {}, "scan step.*--step NM"),
        ({"radius_px": None}, {}, "radius of the bright-field disk.*--radius PX"),
        ({"step_nm": 0.15}, {}, "steps of at most 0.11 nm"),
        ({"lattice_nm": 0.55}, {}, "period of 0.55 nm, but KNN one of 0.396 nm"),
        ({"radius_px": 17.0}, {}, "does not hold the whole bright-field disk"),
        ({}, {"material": "SrTiO3"}, "SrTiO3 has no polarization.*BaTiO3"),
        ({}, {"material": "NaCl"}, "no material 'NaCl'"),
        ({}, {"quality": "best"}, "no quality 'best'; choose 'quick' or 'full'"),
        ({}, {"thickness_nm": (40, 20)}, "from 40 to 20 nm"),
        ({}, {"specimens": 1}, "at least 2 and 1"),
    ],
)
def test_what_is_missing_or_wrong_is_one_sentence(
    calibration: dict[str, Any], options: dict[str, Any], told: str
) -> None:
    with pytest.raises(PolmapError, match=told) as error:
        spec_for_scan(make_scan(**calibration), **{"thickness_nm": (20, 40), **options})
    assert str(error.value).count(". ") == 0


def test_the_crop_shrinks_to_a_small_detector() -> None:
    small = make_scan(radius_px=14.0)
    assert recipe_for_scan(small).preprocessing.extent == 1.15
    values = spec_for_scan(small, thickness_nm=(20, 20))
    assert values["numerics"]["half_width"] == pytest.approx(1.24, abs=0.01)


def test_separate_disks_are_simulated_at_one_position(monkeypatch: pytest.MonkeyPatch) -> None:
    # Neighboring disks are 3.2 radii apart.
    scan = make_scan(semi_angle_mrad=2.0, radius_px=1.4, step_nm=2.0)
    without = {n: r for n, r in scan_spec.PRESETS.items() if n != "nanobeam"}
    monkeypatch.setattr(scan_spec, "PRESETS", without)
    with pytest.raises(CalibrationError, match=r"do not overlap \(semi-angle 2 mrad, at most half"):
        spec_for_scan(scan, thickness_nm=(20, 40))
    recipe = Recipe(Preprocessing(size=48, extent=3.2, unit="lattice"), window_cells=0.0)
    monkeypatch.setattr(scan_spec, "PRESETS", {**without, "nanobeam": recipe})
    values = spec_for_scan(scan, thickness_nm=(20, 40))
    assert recipe_for_scan(scan) == recipe
    assert values["specimens"]["positions"] == 1
    assert values["specimens"]["cells"] == 13
    assert values["numerics"]["half_width"] == pytest.approx(3.8 * 6.33 / 2, rel=0.01)
    cost = estimate(spec_from(values), measure=False)
    assert cost.positions == sum(SPECIMENS["quick"]) * 2
    assert max(cost.gpts) <= 512
    # A detector that does not hold them is too small.
    small = make_scan(semi_angle_mrad=2.0, radius_px=5.0, step_nm=2.0)
    with pytest.raises(CalibrationError, match="the detector has 32 x 32"):
        spec_for_scan(small, thickness_nm=(20, 40))
