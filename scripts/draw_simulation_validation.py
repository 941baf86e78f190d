"""Simulate, measure and draw what docs/simulation-validation.md shows.

    python scripts/draw_simulation_validation.py

Writes docs/images/simulation-directions.png, -control.png and -confounders.png and prints the
tables of the page. About four minutes on one core.
"""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from PIL import Image

from napari_polmap.diffraction.symmetry import rotate_scan
from napari_polmap.directions import DirectionSet
from napari_polmap.simulation.domains import OneDomain
from napari_polmap.simulation.materials import MATERIALS
from napari_polmap.simulation.microscope import Microscope
from napari_polmap.simulation.multislice import simulate_patterns
from napari_polmap.simulation.random_crystal import RandomCrystal
from napari_polmap.simulation.scanning import scan_positions
from napari_polmap.simulation.storage import pack, unpack

IMAGES = Path(__file__).parents[1] / "docs" / "images"
THICKNESS_NM = (10, 20, 30, 40)
CELLS, POSITIONS = 6, 8
COLORS = 96
SHOWN = 1.35
"""Half width of the patterns that are drawn, in radii of the disk."""
TURN_NM = 20
"""Thickness at which the turned scans are compared."""

Floats = npt.NDArray[np.floating]


def scan(
    name: str,
    direction: str = "RM",
    magnitude_angstrom: float | None = None,
    tilt_mrad: tuple[float, float] = (0.0, 0.0),
    seed: int | None = None,
) -> Floats:
    """A scan over one cell, shape (thicknesses, y, x, ky, kx), with the A site in its middle.

    Sites with several elements are in turn, about which A site the crystal may then be turned, or
    at random by a seed.
    """
    material = MATERIALS[name]
    cell = material.unit_cell()
    edge = cell.lengths_angstrom[0]
    magnitude = material.magnitude_angstrom if magnitude_angstrom is None else magnitude_angstrom
    depth = int(np.ceil(max(THICKNESS_NM) * 10 / edge))
    crystal = RandomCrystal(
        cell, OneDomain(direction), magnitude, depth, seed or 0, ordered=seed is None
    )
    first = (CELLS // 2 - 0.5 + 0.5 / POSITIONS) * edge
    patterns = simulate_patterns(
        crystal.block(0, 0, CELLS, CELLS).atoms(),
        scan_positions((first, first), (POSITIONS, POSITIONS), edge / POSITIONS),
        Microscope(tilt_mrad=tilt_mrad),
        THICKNESS_NM,
        slice_angstrom=cell.slice_angstrom,
        sigmas=cell.sigmas,
    ).data
    return patterns.reshape(len(patterns), POSITIONS, POSITIONS, *patterns.shape[2:])


def mean(patterns: Floats) -> npt.NDArray[np.float64]:
    """Cell-mean patterns, shape (thicknesses, ky, kx)."""
    return np.asarray(patterns.mean((1, 2), dtype=np.float64))


def odd(means: Floats) -> Floats:
    """What is not centrosymmetric: p(k) - p(-k)."""
    return means - means[..., ::-1, ::-1]


def share(means: Floats) -> npt.NDArray[np.float64]:
    """Sum of its absolute values as a share of the intensity, per thickness."""
    return np.asarray(np.abs(odd(means)).sum((-2, -1)) / means.sum((-2, -1)))


def row(name: str, values: npt.ArrayLike, form: str = "{:.2f} %", factor: float = 100) -> None:
    """Print a row of a table."""
    cells = " | ".join(form.format(factor * value) for value in np.ravel(values))
    print(f"| {name} | {cells} |", flush=True)


def cut(pattern: Floats, semi_angle_px: float) -> Floats:
    """The part of a pattern that is drawn."""
    middle, half = pattern.shape[-1] // 2, int(np.ceil(SHOWN * semi_angle_px))
    inner = slice(middle - half, middle + half + 1)
    return pattern[inner, inner]


def save(figure: Figure, name: str) -> None:
    """Write a picture with a palette."""
    drawn = BytesIO()
    figure.savefig(drawn, dpi=100)
    picture = Image.open(drawn).convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
    path = IMAGES / f"{name}.png"
    picture.save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB", flush=True)


def radius_px(name: str) -> float:
    """Radius of the disk in simulated pixels."""
    microscope = Microscope()
    edge = MATERIALS[name].lattice_angstrom * CELLS
    return microscope.semi_angle_mrad * 1e-3 / microscope.wavelength_angstrom * edge


def draw_directions(means: dict[str, Floats]) -> None:
    """Patterns, and beneath them what is not centrosymmetric, over direction and thickness."""
    names, rows = list(means), 2 * len(THICKNESS_NM)
    figure = Figure(figsize=(7.6, 7.9), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0, hspace=0)  # type: ignore[union-attr]
    axes = figure.subplots(rows, len(names))
    angles = DirectionSet.from_names(names).angles_deg
    for t, thickness in enumerate(THICKNESS_NM):
        bright = max(float(means[name][t].max()) for name in names)
        strong = max(float(np.abs(odd(means[name][t])).max()) for name in names)
        for column, name in enumerate(names):
            pattern = means[name][t]
            above, below = axes[2 * t, column], axes[2 * t + 1, column]
            above.imshow(cut(pattern, radius_px("KNN")), cmap="gray", vmin=0, vmax=bright)
            below.imshow(
                cut(odd(pattern), radius_px("KNN")), cmap="RdBu", vmin=-strong, vmax=strong
            )
            if t == 0:
                above.set_title(f"{name} {angles[column]:.0f}°", fontsize=9)
            if column == 0:
                above.set_ylabel(f"{thickness} nm", fontsize=9)
                below.set_ylabel(f"± {strong / bright:.1%}", fontsize=8)
    bare(axes)
    save(figure, "simulation-directions")


def draw_control(polar: Floats, control: Floats) -> None:
    """KNN and SrTiO3 side by side, on the same scales."""
    figure = Figure(figsize=(6.2, 6.6), layout="constrained")
    axes = figure.subplots(4, len(THICKNESS_NM))
    parts = (("KNN, RM", "KNN", polar), ("SrTiO3", "SrTiO3", control))
    for t, thickness in enumerate(THICKNESS_NM):
        strong = float(np.abs(odd(polar[t])).max())
        axes[0, t].set_title(f"{thickness} nm", fontsize=9)
        for place, (label, name, means) in enumerate(parts):
            above, below = axes[2 * place, t], axes[2 * place + 1, t]
            above.imshow(cut(means[t], radius_px(name)), cmap="gray", vmin=0)
            below.imshow(
                cut(odd(means[t]), radius_px(name)), cmap="RdBu", vmin=-strong, vmax=strong
            )
            below.set_xlabel(f"{share(means)[t]:.2g}", fontsize=8)
            if t == 0:
                above.set_ylabel(label, fontsize=9)
                below.set_ylabel("p(k) - p(-k)", fontsize=9)
    bare(axes)
    save(figure, "simulation-control")


def draw_confounders(means: dict[str, Floats]) -> None:
    """What is not centrosymmetric for other reasons than the polarization."""
    figure = Figure(figsize=(7.6, 5.7), layout="constrained")
    axes = figure.subplots(len(THICKNESS_NM), len(means))
    for t, thickness in enumerate(THICKNESS_NM):
        for column, (name, patterns) in enumerate(means.items()):
            axis, part = axes[t, column], odd(patterns[t])
            strong = float(np.abs(part).max())
            axis.imshow(cut(part, radius_px("KNN")), cmap="RdBu", vmin=-strong, vmax=strong)
            axis.set_xlabel(f"{share(patterns)[t]:.1%}", fontsize=8)
            if t == 0:
                axis.set_title(name.replace(", ", "\n"), fontsize=8)
            if column == 0:
                axis.set_ylabel(f"{thickness} nm", fontsize=9)
    bare(axes)
    save(figure, "simulation-confounders")


def bare(axes: npt.NDArray[np.object_]) -> None:
    """Images without ticks and frames."""
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)


def main() -> None:
    """Simulate, draw and print."""
    names = DirectionSet.default().names
    scans = {name: scan("KNN", name) for name in names}
    means = {name: mean(data) for name, data in scans.items()}
    draw_directions(means)

    index = THICKNESS_NM.index(TURN_NM)
    print(f"\nTurned scans against simulations of their own, {TURN_NM} nm, largest difference")
    for first, members in (("RM", ("MU", "LM", "MD")), ("RU", ("LU", "LD", "RD"))):
        for turns, name in enumerate(members, start=1):
            other = scans[name][index]
            off = np.abs(rotate_scan(scans[first][index], turns) - other).max() / other.max()
            row(f"{first} turned by {90 * turns}° is {name}", [off], "{:.1e}", 1)

    packed, scale = pack(scans["RU"])
    kept = mean(unpack(packed, scale))
    print("\nStored as float16: patterns, their sums, cell mean's p(k) - p(-k)")
    near = np.abs(unpack(packed, scale).astype(np.float64) - scans["RU"]).sum()
    row("patterns", [near / scans["RU"].sum()], "{:.1e}", 1)
    totals = scans["RU"].sum((-2, -1), dtype=np.float64)
    row("sums", [np.abs(unpack(packed, scale).sum((-2, -1)) / totals - 1).max()], "{:.1e}", 1)
    lost = np.abs(odd(kept) - odd(means["RU"])).sum() / np.abs(odd(means["RU"])).sum()
    row("p(k) - p(-k)", [lost], "{:.1e}", 1)

    print("\n| | " + " | ".join(f"{t} nm" for t in THICKNESS_NM) + " |")
    print("|---" * (len(THICKNESS_NM) + 1) + "|")
    row("intensity within 1.7 R", means["RM"].sum((1, 2)), "{:.1f} %")
    for name in ("RM", "RU"):
        row(f"KNN, {name}, 0.16 Å", share(means[name]))
    control = mean(scan("SrTiO3"))
    row("SrTiO3", share(control), "{:.1e}", 1)
    still = mean(scan("KNN", magnitude_angstrom=0.0))
    row("KNN, no polarization, K and Na in turn", share(still), "{:.1e}", 1)
    draw_control(means["RM"], control)

    shown = {"polarization RM, 0.16 Å": means["RM"]}
    seeds = [mean(scan("KNN", magnitude_angstrom=0.0, seed=seed)) for seed in (1, 2, 3)]
    row("K and Na at random, three seeds' mean", np.mean([share(one) for one in seeds], axis=0))
    shown["K and Na, at random"] = seeds[0]
    for tilt in (0.5, 1.0, 2.0, 3.0):
        tilted = mean(scan("KNN", magnitude_angstrom=0.0, tilt_mrad=(tilt, 0.0)))
        row(f"tilt {tilt:g} mrad to the right", share(tilted))
        shown[f"tilt, {tilt:g} mrad"] = tilted
    both = mean(scan("KNN", "RM", tilt_mrad=(2.0, 0.0)))
    row("polarization RM and tilt 2 mrad", share(both))
    rest = np.abs(odd(both) - odd(shown["tilt, 2 mrad"]) - odd(means["RM"])).sum((1, 2))
    row("… what is more than their sum", rest / both.sum((1, 2)))
    draw_confounders(shown)
    print("\nOverlap of p(k) - p(-k), polarization RM and tilt (cosine)")
    for tilt in (0.5, 1.0, 2.0, 3.0):
        one, other = odd(means["RM"]), odd(shown[f"tilt, {tilt:g} mrad"])
        cosine = (one * other).sum((1, 2)) / np.linalg.norm(one, axis=(1, 2))
        row(f"tilt {tilt:g} mrad", cosine / np.linalg.norm(other, axis=(1, 2)), "{:.2f}", 1)


if __name__ == "__main__":
    main()
