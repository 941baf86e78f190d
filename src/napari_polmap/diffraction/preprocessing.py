"""From detector pixels to the pattern a classifier sees: one linear operator per beam position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import Calibration
from napari_polmap.errors import CalibrationError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_MAX_UNCOVERED = 0.02
_FINE = 2.4
"""Detector pixels are summed in squares before resampling until an output pixel spans fewer than
twice this many: as fine as in training, and several times faster on large detectors."""


@dataclass(frozen=True)
class Preprocessing:
    """How patterns are cropped, resampled and normalized.

    Parameters
    ----------
    size : int
        Rows and columns of the pattern the model sees.
    extent : float or None
        Half width of the crop in the units of `unit`, turned into the crystal's frame; ``None``:
        `size` detector pixels around the center, neither scaled nor turned (the paper's). A known
        elliptical distortion is taken out in both cases.
    center : {"disk", "percentile"}
        Whether the crop is centered on the calibrated disk, or on the center of mass of the mean
        pattern's pixels above the 95th percentile (the paper's).
    normalization : {"sum", "minmax"}
        Divide the windowed pattern by its sum, or scale every single pattern to 0..1 before the
        window (the paper's).
    unit : {"radius", "lattice"}
        What `extent` counts: radii R of the bright-field disk, or distances λ/a of neighboring
        disks. With the latter disks of any size lie at the same places, so that one classifier
        serves all semi-angles at which they do not overlap.
    """

    size: int = 32
    extent: float | None = 1.3
    center: Literal["disk", "percentile"] = "disk"
    normalization: Literal["sum", "minmax"] = "sum"
    unit: Literal["radius", "lattice"] = "radius"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """Inverse of `to_dict`."""
        return cls(**values)

    def operator(
        self,
        calibration: Calibration,
        detector_shape: tuple[int, int],
        bad_pixels: npt.NDArray[np.bool_] | None = None,
        *,
        rotate: bool = True,
    ) -> PatternOperator:
        """The crop and resampling for one detector.

        Parameters
        ----------
        calibration : Calibration
            Center and radius of the disk, detector flip and rotation, crystal angle, elliptical
            distortion. The descan is not looked at: see `napari_polmap.diffraction.operators`.
        detector_shape : (int, int)
            Rows and columns of the detector.
        bad_pixels : ndarray of bool, optional
            Detector pixels that get no weight.
        rotate : bool
            False leaves the pattern in the detector's own orientation, without its distortion.

        Raises
        ------
        CalibrationError
            If center or radius are unknown, or the crop reaches beyond the detector; with `unit`
            "lattice" also if voltage, semi-angle or lattice period are unknown.
        """
        if calibration.center_px is None or (self.extent is not None and not calibration.radius_px):
            raise CalibrationError(
                "The bright-field disk's center and radius are not known and could not be "
                "measured; give them (--center KY,KX --radius PX, or in the Scan section)."
            )
        pixel = 1.0
        if self.extent is not None:
            pixel = 2 * self.extent * self._unit_px(calibration) / self.size
        turned = self.extent is not None and rotate
        turn = calibration.to_detector() if turned else calibration.distortion()
        binning = max(1, int(pixel / _FINE)) if bad_pixels is None else 1
        samples = max(1, int(np.ceil(pixel / binning - 1e-6)))
        points = _sample_points(self.size, samples) * pixel @ turn.T + calibration.center_px
        shape = (detector_shape[0] // binning, detector_shape[1] // binning)
        _check_coverage(points, detector_shape)
        return _build_operator(
            (points + 0.5) / binning - 0.5, self.size, samples, shape, binning, bad_pixels
        )

    def _unit_px(self, calibration: Calibration) -> float:
        """Detector pixels of what `extent` counts."""
        assert calibration.radius_px is not None
        if self.unit == "radius":
            return calibration.radius_px
        distance = calibration.reciprocal_px
        if distance is None:
            wanted = {
                "voltage": calibration.energy_kv,
                "convergence semi-angle": calibration.disk_mrad_per_pixel,
                "lattice period": calibration.lattice_nm,
            }
            missing = [name for name, value in wanted.items() if value is None]
            raise CalibrationError(
                "The classifier's crop is counted in distances of the diffracted disks, but the "
                f"scan's {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not known; "
                "give what is missing (--energy KV, --semi-angle MRAD, --lattice NM, or in the "
                "Scan section)."
            )
        return distance


@dataclass(frozen=True)
class PatternOperator:
    """A matrix on the detector pixels, or squares of them, within a bounding box.

    Parameters
    ----------
    matrix : csr_matrix or ndarray of float32, shape (size * size or features, squares in the box)
        Sparse, or dense where it has been merged with a projection.
    box : (slice, slice)
        Rows and columns of the detector it reads.
    binning : int
        Edge of the squares of detector pixels that are summed first.
    size : int
        Rows and columns of the result.
    repairs : ndarray of int, shape (4, n), optional
        Rows and columns of bad pixels within the box that the matrix does not know of, and of the
        pixels whose values they take.
    """

    matrix: csr_matrix | npt.NDArray[np.float32]
    box: tuple[slice, slice]
    binning: int
    size: int
    repairs: npt.NDArray[np.intp] | None = None

    @property
    def crop_bytes(self) -> int:
        """Bytes of one pattern's part within the box, as float32."""
        rows, columns = self.box
        return 4 * (rows.stop - rows.start) * (columns.stop - columns.start)

    def crop(
        self, patterns: npt.NDArray[Any], chosen: npt.NDArray[np.intp] | None = None
    ) -> npt.NDArray[np.float32]:
        """The box's squares of patterns ``(n, ky, kx)`` as ``(n, squares)``, each a mean.

        Only of the patterns with the indices `chosen`, where given.
        """
        inside = patterns[:, self.box[0], self.box[1]]
        if chosen is not None:
            inside = inside[chosen]
        cropped = np.ascontiguousarray(inside, dtype=np.float32)
        if self.repairs is not None and self.repairs.size:
            bad, good = self.repairs[:2], self.repairs[2:]
            of = np.arange(len(patterns)) if chosen is None else chosen
            cropped[:, bad[0] - self.box[0].start, bad[1] - self.box[1].start] = patterns[
                of[:, None], good[0], good[1]
            ]
        if self.binning > 1:
            # Sums of slices, rows first: several times faster than reducing over short axes.
            step = self.binning
            rows = reduce(np.add, (cropped[:, k::step] for k in range(step)))
            squares = reduce(np.add, (rows[:, :, k::step] for k in range(step)))
            cropped = squares / np.float32(step**2)
        return cropped.reshape(len(cropped), -1)

    def apply(
        self, patterns: npt.NDArray[Any], chosen: npt.NDArray[np.intp] | None = None
    ) -> npt.NDArray[np.float32]:
        """Patterns ``(n, ky, kx)`` resampled to ``(n, size * size)``, or their merged features."""
        cropped = self.crop(patterns, chosen)
        if isinstance(self.matrix, np.ndarray):
            return cropped @ self.matrix.T
        return np.ascontiguousarray((self.matrix @ cropped.T).T)

    def projected(self, rows: npt.NDArray[Any]) -> PatternOperator:
        """The operator and linear features ``(f, size * size)`` after it, merged into one."""
        merged = np.asarray((self.matrix.T @ rows.T).T, dtype=np.float32)
        return replace(self, matrix=merged)

    def moved(self, whole: tuple[int, int], shape: tuple[int, int]) -> PatternOperator | None:
        """The same operator some whole pixels on, on a detector of a shape.

        ``None`` where the detector's edge cuts it, here or there: another one must be built.
        """
        ends = [n // self.binning * self.binning for n in shape]
        cut = any(
            part.start <= 0 or part.stop >= end for part, end in zip(self.box, ends, strict=True)
        )
        box = tuple(
            slice(part.start + step, part.stop + step)
            for part, step in zip(self.box, whole, strict=True)
        )
        beyond = any(part.start < 0 or part.stop > n for part, n in zip(box, shape, strict=True))
        return None if cut or beyond else replace(self, box=(box[0], box[1]))


def percentile_center(mean_pattern: npt.NDArray[Any]) -> tuple[float, float]:
    """Center of mass of the mask of pixels above the 95th percentile (Martinc et al. 2026)."""
    rows, columns = np.nonzero(mean_pattern > np.percentile(mean_pattern, 95))
    if not len(rows):
        raise CalibrationError(
            "The mean pattern is flat, so that the beam's center cannot be found; give it "
            "(--center KY,KX)."
        )
    return float(rows.mean()), float(columns.mean())


def minmax(patterns: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Each pattern ``(n, f)`` scaled to 0..1; a flat one becomes zero."""
    low = patterns.min(axis=1, keepdims=True)
    span = patterns.max(axis=1, keepdims=True) - low
    return (patterns - low) / np.where(span > 0, span, 1)


def _sample_points(size: int, samples: int) -> npt.NDArray[np.float64]:
    """Offsets (row, column) from the center in output pixels, shape (size², samples², 2)."""
    pixels = np.arange(size) - (size - 1) / 2
    inside = (np.arange(samples) + 0.5) / samples - 0.5
    axis = pixels[:, None] + inside[None, :]
    rows = np.broadcast_to(axis[:, None, :, None], (size, size, samples, samples))
    columns = np.broadcast_to(axis[None, :, None, :], (size, size, samples, samples))
    return np.stack([rows, columns], axis=-1).reshape(size * size, samples * samples, 2)


def _build_operator(
    points: npt.NDArray[np.float64],
    size: int,
    samples: int,
    shape: tuple[int, int],
    binning: int,
    bad_pixels: npt.NDArray[np.bool_] | None,
) -> PatternOperator:
    """Bilinear interpolation at `points`, averaged per output pixel over what is covered."""
    from scipy.sparse import csr_matrix

    outputs = np.repeat(np.arange(size * size), samples * samples)
    flat = points.reshape(-1, 2)
    low = np.floor(flat).astype(int)
    share = flat - low
    entries: list[tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]] = []
    for dy in (0, 1):
        for dx in (0, 1):
            rows, columns = low[:, 0] + dy, low[:, 1] + dx
            weights = np.abs(1 - dy - share[:, 0]) * np.abs(1 - dx - share[:, 1])
            inside = (rows >= 0) & (columns >= 0) & (rows < shape[0]) & (columns < shape[1])
            pixels = rows[inside] * shape[1] + columns[inside]
            entries.append((weights[inside], outputs[inside], pixels))
    weights = np.concatenate([e[0] for e in entries])
    if bad_pixels is not None:
        good = ~bad_pixels.ravel()
        weights = weights * good[np.concatenate([e[2] for e in entries])]
    place = (np.concatenate([e[1] for e in entries]), np.concatenate([e[2] for e in entries]))
    matrix = csr_matrix((weights, place), shape=(size * size, shape[0] * shape[1]))
    covered = np.asarray(matrix.sum(axis=1)).ravel()
    matrix = _fill_uncovered(matrix, covered, size, samples)
    used = np.zeros(shape[0] * shape[1], bool)
    used[matrix.indices] = True
    rows, columns = np.nonzero(used.reshape(shape))
    inner = (
        slice(int(rows.min()), int(rows.max()) + 1),
        slice(int(columns.min()), int(columns.max()) + 1),
    )
    keep = np.arange(used.size).reshape(shape)[inner].ravel()
    box = tuple(slice(part.start * binning, part.stop * binning) for part in inner)
    return PatternOperator(
        matrix[:, keep].astype(np.float32).tocsr(), (box[0], box[1]), binning, size
    )


def _check_coverage(points: npt.NDArray[np.float64], detector_shape: tuple[int, int]) -> None:
    """Refuse a crop of which more than a little lies beyond the detector."""
    last = np.array(detector_shape) - 0.5
    outside = ((points < -0.5) | (points > last)).any(axis=2).mean(axis=1) > 0.5
    if outside.mean() > _MAX_UNCOVERED:
        low, high = points.min(axis=(0, 1)), points.max(axis=(0, 1))
        raise CalibrationError(
            f"The classifier needs the pattern from pixel ({low[0]:.0f}, {low[1]:.0f}) to "
            f"({high[0]:.0f}, {high[1]:.0f}), but the detector has {detector_shape[0]} x "
            f"{detector_shape[1]} pixels; check the disk's center and radius, or use a classifier "
            "with a smaller crop."
        )


def _fill_uncovered(
    matrix: csr_matrix, covered: npt.NDArray[np.float64], size: int, samples: int
) -> csr_matrix:
    """Rows scaled to full coverage; output pixels hardly covered copy the nearest covered one."""
    from scipy.ndimage import distance_transform_edt
    from scipy.sparse import diags

    known = covered > 0.25 * samples**2
    if not known.any():
        raise CalibrationError(
            "No usable detector pixel lies where the classifier looks; check the mask of bad "
            "pixels and the disk's center and radius."
        )
    scale = np.divide(1.0, covered, out=np.zeros_like(covered), where=known)
    matrix = (diags(scale) @ matrix).tocsr()
    if known.all():
        return matrix
    nearest = distance_transform_edt(
        ~known.reshape(size, size), return_distances=False, return_indices=True
    )
    return matrix[np.ravel_multi_index(tuple(nearest), (size, size)).ravel()]
