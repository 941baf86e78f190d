from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.cells import directions_of
from napari_polmap.simulation.sections import THERMAL_MODES
from napari_polmap.simulation.spec import Spec, read_spec, spec_from
from napari_polmap.simulation.specimens import (
    Run,
    Specimen,
    draw_runs,
    draw_specimen,
    run_atoms,
    scan_grid,
    simulate_run,
    turned,
)
from tests.simulation.specs import small, small_spec

pytest.importorskip("ase")

TRAINING = Path(__file__).parents[2] / "examples" / "knn_training.toml"


def runs_of(spec: Spec, seed: int) -> tuple[Specimen, dict[str, Run]]:
    specimen = draw_specimen(spec, seed)
    runs = draw_runs(spec, specimen, directions_of(spec))
    return specimen, {run.direction: run for run in runs}


def digest(atoms: Any) -> str:
    """Of the symbols, and of the positions rounded beyond what processors differ in."""
    code = hashlib.sha256(" ".join(atoms.get_chemical_symbols()).encode())
    code.update((np.round(atoms.positions, 9) + 0.0).tobytes())
    return code.hexdigest()[:16]


@pytest.mark.parametrize(
    ("seed", "direction", "expected"),
    [
        (1, "RM", "86edbfcadbff07fe"),
        (1, "LU", "f87dfaf96c7a6fad"),
        (2, "RM", "eeeb803953559df3"),
        (2, "MD", "94f88430913bf8a8"),
    ],
)
def test_specimens_stay_what_their_seeds_say(seed: int, direction: str, expected: str) -> None:
    # Trained classifiers rest on these arrangements (seed 2: with its frozen vibration), which
    # the first program made up to 50 nm.
    values = dict(read_spec(TRAINING).values)
    values["specimens"] = {**values["specimens"], "thickness_nm": [10, 50]}
    spec = spec_from(values)
    specimen, runs = runs_of(spec, seed)
    assert digest(run_atoms(spec, specimen, runs[direction])) == expected


def test_the_training_recipe_draws_what_the_first_scans_were_made_with() -> None:
    # From the records of the scans that the first program made.
    spec = read_spec(TRAINING)
    specimen, runs = runs_of(spec, 1)
    assert specimen.cell.lengths_angstrom[0] == 3.941532769017571
    assert specimen.thermal == "debye-waller"
    assert specimen.whole_thickness_nm[:2] == pytest.approx([5.123992599722842, 9.853831922543929])
    run = runs["LD"]
    assert np.hypot(*run.microscope.tilt_mrad) == pytest.approx(3.262250547954329, abs=1e-14)
    assert run.microscope.defocus_nm == -1.6024161870834606
    assert run.magnitude_angstrom == 0.08308771350911949
    assert (run.microscope.energy_kv, run.microscope.semi_angle_mrad) == (200.0, 24.0)


def test_thermal_modes_follow_each_other_seed_by_seed() -> None:
    spec = small_spec()
    assert [draw_specimen(spec, seed).thermal for seed in range(4)] == [
        *THERMAL_MODES,
        THERMAL_MODES[0],
    ]


def test_arrangement_vibration_and_origin_are_the_same_with_every_direction() -> None:
    spec = small_spec(crystal={"thermal": "frozen phonon", "magnitude_angstrom": 0.0})
    specimen, runs = runs_of(spec, 5)
    assert digest(run_atoms(spec, specimen, runs["RM"])) == digest(
        run_atoms(spec, specimen, runs["MU"])
    )
    assert runs["RM"].microscope != runs["MU"].microscope


def test_tilt_and_magnitude_tell_nothing_about_the_direction() -> None:
    spec = small_spec(directions={"names": ["RM", "RU", "MU", "LU", "LM", "LD", "MD", "RD"]})
    directions = directions_of(spec)
    specimens = [draw_specimen(spec, seed) for seed in range(200)]
    runs = [draw_runs(spec, specimen, directions) for specimen in specimens]
    tilt = np.array([[run.microscope.tilt_mrad for run in part] for part in runs])
    angle = np.deg2rad(np.array(directions.angles_deg, dtype=float))
    along = tilt[..., 0] * np.cos(angle) + tilt[..., 1] * np.sin(angle)
    assert np.hypot(tilt[..., 0], tilt[..., 1]).max() <= 3.2
    assert abs(along.mean()) < 0.12
    magnitude = np.array([[run.magnitude_angstrom for run in part] for part in runs])
    assert np.ptp(magnitude.mean(axis=0)) < 0.02
    assert abs(np.corrcoef(magnitude[:, 0], magnitude[:, 1])[0, 1]) < 0.2


def test_a_range_of_thicknesses_is_one_for_all_directions() -> None:
    spec = small_spec(specimens={"thickness_nm": {"min": 1.0, "max": 4.0}})
    drawn = [draw_specimen(spec, seed).thickness_nm for seed in range(20)]
    assert all(len(one) == 1 and 1 <= one[0] <= 4 for one in drawn)
    assert len(set(drawn)) == 20


def test_positions_of_a_cell_that_is_not_square_are_about_equally_far_apart(tmp_path: Path) -> None:
    from ase import Atoms
    from ase.io import write

    atoms = Atoms(
        "BaTi", scaled_positions=[(0, 0, 0), (0.5, 0.5, 0.5)], cell=(5.7, 4.0, 4.0), pbc=True
    )
    write(tmp_path / "cell.cif", atoms)
    crystal = {
        "file": "cell.cif",
        "displacements": {"RM": {"Ti": [0, 0.1, 0]}, "MU": {"Ti": [-0.1, 0, 0]}},
        "sigmas_angstrom": {"Ba": 0.07, "Ti": 0.08},
        "lattice_scale": {"min": 0.99, "max": 1.01},
    }
    spec = spec_from({**small(), "crystal": crystal}, tmp_path)
    cell = draw_specimen(spec, 1).cell
    assert cell.lengths_angstrom[1] != 5.7
    assert 0.99 < cell.lengths_angstrom[1] / 5.7 < 1.01
    (rows, columns), (down, across) = scan_grid(spec, cell)
    assert (rows, columns) == (2, 3)
    many = spec_from(
        {**spec.values, "specimens": {**small()["specimens"], "positions": 8}}, tmp_path
    )
    (rows, columns), (down, across) = scan_grid(many, cell)
    assert rows >= 7
    assert columns >= 8
    assert down == pytest.approx(across, rel=0.02)


def test_a_turned_run_turns_tilt_and_astigmatism() -> None:
    spec = small_spec(
        microscope={"tilt_mrad": [1.0, 0.5], "astigmatism_nm": 2.0, "astigmatism_angle_deg": 30.0}
    )
    _, runs = runs_of(spec, 1)
    one = turned(runs["RM"], "MU", 1)
    assert one.direction == "MU"
    assert one.microscope.tilt_mrad == (-0.5, 1.0)
    assert one.microscope.astigmatism_angle_deg == -60.0
    assert turned(turned(runs["RM"], "MU", 1), "RM", 3).microscope == runs["RM"].microscope


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_run_of_every_thermal_mode(seed: int) -> None:
    pytest.importorskip("abtem")
    spec = small_spec()
    specimen, runs = runs_of(spec, seed)
    assert specimen.thermal == THERMAL_MODES[seed]
    patterns = simulate_run(spec, specimen, runs["MU"])
    assert patterns.data.shape[:2] == (2, 4)
    assert patterns.thickness_nm == pytest.approx(specimen.whole_thickness_nm)
    sums = patterns.data.sum((-2, -1))
    assert 0.8 < sums.min() <= sums.max() < 1.001


def test_several_frozen_phonons_begin_with_the_single_one() -> None:
    pytest.importorskip("abtem")
    one = small_spec(crystal={"thermal": "frozen phonon"})
    two = small_spec(crystal={"thermal": "frozen phonon", "phonons": 2})
    single = simulate_run(one, *_first(one)).data
    mean = simulate_run(two, *_first(two)).data
    assert not np.allclose(single, mean, rtol=1e-3)
    assert mean.sum() == pytest.approx(single.sum(), rel=0.01)


def _first(spec: Spec) -> tuple[Specimen, Run]:
    specimen, runs = runs_of(spec, 1)
    return specimen, runs["RM"]


@pytest.mark.parametrize(
    ("crystal", "directions", "told"),
    [
        ({}, {"names": ["RM", "OUTER"]}, "'OUTER', but KNN has the directions RM"),
        ({}, {"names": ["RM"], "angles_deg": [0, 90]}, "one for each of"),
        ({}, {"names": ["RM"], "angles_deg": [10]}, "not what KNN has"),
    ],
)
def test_what_does_not_fit_the_material(
    crystal: dict[str, Any], directions: dict[str, Any], told: str
) -> None:
    with pytest.raises(PolmapError, match=told):
        draw_specimen(small_spec(crystal=crystal, directions=directions), 1)


def test_the_direction_along_the_beam_is_known_by_its_name() -> None:
    spec = small_spec(directions={"names": ["RM", "OUT"]})
    assert directions_of(spec).angles_deg == (0.0, None)
    specimen, runs = runs_of(spec, 1)
    atoms = run_atoms(spec, specimen, runs["OUT"])
    symbols = np.array(atoms.get_chemical_symbols())
    edge = specimen.cell.lengths_angstrom[0]
    heights = atoms.positions[symbols == "Nb"][:, 2] % edge
    moved = specimen.drawn["b_share"] * runs["OUT"].magnitude_angstrom
    assert heights == pytest.approx(0.75 * edge + moved)
