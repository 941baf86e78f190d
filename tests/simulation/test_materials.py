from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.directions import DirectionSet
from napari_polmap.errors import PolmapError
from napari_polmap.simulation.materials import MATERIALS, OUT_OF_PLANE, get_material
from napari_polmap.simulation.unit_cell import Site, UnitCell


@pytest.mark.parametrize("name", MATERIALS)
def test_materials_are_whole_and_sourced(name: str) -> None:
    material = get_material(name)
    assert material.name == name
    assert material.sources
    low, high = material.magnitude_range
    assert low <= material.magnitude_angstrom <= high
    assert material.lattice_range[0] < material.lattice_angstrom < material.lattice_range[1]
    cell = material.unit_cell()
    assert set(cell.elements) <= set(material.sigmas)
    assert cell.slices == 2
    # Every layer lies in the middle of a slice, far from where slices meet.
    depths = np.array([site.position[2] for site in cell.sites]) * cell.slices % 1
    assert depths == pytest.approx(0.5)


@pytest.mark.parametrize("name", MATERIALS)
def test_magnitude_is_the_displacement_of_b_against_the_anions(name: str) -> None:
    material = get_material(name)
    cell = material.unit_cell(out_of_plane=True)
    for direction in cell.directions.names:
        moved = cell.displacement(direction, 0.2)
        relative = moved[cell.site("B")] - moved[[cell.site(f"X{i}") for i in (1, 2, 3)]]
        assert relative == pytest.approx(np.tile(0.2 * material.axis(direction), (3, 1)))
        assert np.linalg.norm(relative[0]) == pytest.approx(0.2)


def test_directions_follow_the_material() -> None:
    assert MATERIALS["KNN"].directions() == DirectionSet.default()
    assert MATERIALS["BaTiO3"].directions().angles_deg == (0.0, 90.0, 180.0, 270.0)
    assert MATERIALS["BiFeO3"].directions().angles_deg == (45.0, 135.0, 225.0, 315.0)
    with_beam = MATERIALS["PbTiO3"].directions(out_of_plane=True)
    assert with_beam.names[-1] == OUT_OF_PLANE
    assert with_beam.angles_deg[-1] is None


def test_rhombohedral_polarization_has_a_part_along_the_beam() -> None:
    material = MATERIALS["BiFeO3"]
    # RU: to smaller rows, to larger columns.
    assert material.axis("RU") == pytest.approx(np.array([-1, 1, 1]) / np.sqrt(3))
    assert material.axis("RU", -1) == pytest.approx(np.array([-1, 1, -1]) / np.sqrt(3))
    cell = material.unit_cell(beam_sign=-1)
    assert cell.displacement("LD")[cell.site("A")] == pytest.approx(
        2.6 * 0.25 * np.array([1, -1, -1]) / np.sqrt(3)
    )


def test_lead_and_bismuth_move_further_than_b() -> None:
    for name, expected in (("PbTiO3", 0.48), ("BiFeO3", 0.65)):
        cell = MATERIALS[name].unit_cell()
        moved = cell.displacement(cell.directions.names[0])
        a, x = cell.site("A"), cell.site("X1")
        assert np.linalg.norm(moved[a] - moved[x]) == pytest.approx(expected, abs=0.02)


def test_control_does_not_move() -> None:
    cell = MATERIALS["SrTiO3"].unit_cell()
    assert all((cell.displacement(name) == 0).all() for name in cell.directions.names)
    assert len(cell.directions) == 8


def test_unknown_names_are_refused() -> None:
    with pytest.raises(PolmapError, match="KNN"):
        get_material("NaCl")
    cell = MATERIALS["KNN"].unit_cell()
    with pytest.raises(PolmapError, match="RU"):
        cell.displacement("up")
    with pytest.raises(PolmapError, match="X1"):
        cell.site("C")
    with pytest.raises(PolmapError, match="share"):
        MATERIALS["KNN"].unit_cell(b_share=1.2)
    with pytest.raises(PolmapError, match="lattice"):
        MATERIALS["KNN"].unit_cell(-4.0)


def test_seam_passes_between_the_sites() -> None:
    assert MATERIALS["KNN"].unit_cell().seam() == pytest.approx([0.25, 0.25])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sites": ()}, "sites"),
        ({"lengths_angstrom": (4.0, 0.0, 4.0)}, "edges"),
        ({"sites": (Site("A", "A", (0, 0, 0), {"K": 0.8, "Na": 0.3}),)}, "probabilities"),
        ({"sites": (Site("A", "A", (0, 0, 0), {"K": 1.0}),) * 2}, "unique"),
        ({"modes": {"RM": np.zeros((1, 3))}}, "LM"),
        ({"modes": {"RM": np.zeros((2, 3)), "LM": np.zeros((1, 3))}}, "RM"),
    ],
)
def test_impossible_cells_are_refused(change: dict[str, object], message: str) -> None:
    parts: dict[str, object] = {
        "lengths_angstrom": (4.0, 4.0, 4.0),
        "sites": (Site("A", "A", (0, 0, 0), {"K": 0.5}),),
        "directions": DirectionSet.from_names(["RM", "LM"]),
        "modes": {"RM": np.zeros((1, 3)), "LM": np.zeros((1, 3))},
    }
    with pytest.raises(PolmapError, match=message):
        UnitCell(**(parts | change))  # type: ignore[arg-type]


def test_bismuth_ferrite_is_what_its_refinement_says() -> None:
    # A. Palewicz et al., Acta Cryst. B63 (2007) 537, supporting CIF, R3c at 298 K.
    a, c, z_iron, z_oxygen = 5.57882, 13.86932, 0.22021, 0.95183
    material = MATERIALS["BiFeO3"]
    assert material.lattice_angstrom == pytest.approx(
        (a**2 * c * np.sqrt(3) / 2 / 6) ** (1 / 3), abs=1e-3
    )
    # Oxygen layers are a sixth of c apart; iron lies between two of them, bismuth in one.
    iron = (z_iron - (z_oxygen - 0.75)) * c
    bismuth = (1 - z_oxygen) * c
    assert material.magnitude_angstrom == pytest.approx(iron, abs=0.01)
    assert material.magnitude_angstrom * material.a_share == pytest.approx(bismuth, abs=0.02)
    vibrations = {"Bi": 0.0054, "Fe": 0.0047, "O": 0.0081}
    assert material.sigmas == pytest.approx(
        {element: np.sqrt(u) for element, u in vibrations.items()}, abs=1e-3
    )


def test_strontium_titanate_vibrates_as_its_b_factors_say() -> None:
    b_factors = {"Sr": 0.62, "Ti": 0.44, "O": 0.73}
    assert MATERIALS["SrTiO3"].sigmas == pytest.approx(
        {element: np.sqrt(b / 8) / np.pi for element, b in b_factors.items()}, abs=5e-4
    )
