"""Context: neighboring windows that agree speak together, those over a wall or a defect do not.

The random arrangement of atoms around one cell leaves marks as strong as the polarization's; over
several cells it averages out. A wider window would do that too, but blurs walls and reaches
defects. Here the logarithms of the neighbors' probabilities are averaged with weights that fall
with distance, with disagreement (so that nothing crosses a wall), and with the neighbor's novelty
(so that windows that hold a defect do not speak for sound cells). Their mean is no surer than one
window is; where the neighbors agree it is raised to a power, for they are witnesses of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_SPACING = 0.5
_CUT = 1.5
_FLOOR = 1e-3


@dataclass(frozen=True)
class Context:
    """Weights of the neighbors.

    Parameters
    ----------
    reach : float
        Standard deviation of the distance's Gaussian, in widths of the window.
    agreement : float
        Power of the Bhattacharyya coefficient between both positions' probabilities.
    trust : float
        How strongly a neighbor's novelty, relative to the position's own, lowers its weight.
    gain : float
        Where all neighbors agree, the shared probabilities are raised to the power 1 + gain.
    """

    reach: float = 2.0
    agreement: float = 2.0
    trust: float = 10.0
    gain: float = 0.5

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Context:
        """Inverse of `to_dict`; files of earlier versions know no gain."""
        return cls(**{"gain": 0.0, **values})

    def within(self, windows: float) -> Context:
        """The context in a scan into which so many different windows fit.

        Windows that slide inward at the edges hold the same patterns, and what they agree on is
        said once: with a single one there is nothing to gain.
        """
        return replace(self, gain=self.gain * (1 - 1 / max(windows, 1.0)))

    def shifts(self, width_positions: float) -> list[tuple[int, int, float]]:
        """Displacements (rows, columns) of the neighbors, with their Gaussian weight.

        Parameters
        ----------
        width_positions : float
            Width of the window in positions; neighbors lie half of that apart, since windows
            nearer to each other hold almost the same patterns.
        """
        count = int(_CUT * self.reach / _SPACING)
        found = []
        for i in range(-count, count + 1):
            for j in range(-count, count + 1):
                distance = _SPACING * np.hypot(i, j) / self.reach
                if distance <= _CUT:
                    dy, dx = (round(k * _SPACING * width_positions) for k in (i, j))
                    found.append((dy, dx, float(np.exp(-0.5 * distance**2))))
        return found

    def asked(
        self, shape: tuple[int, int], inner: tuple[slice, slice], width_positions: float
    ) -> npt.NDArray[np.bool_]:
        """The positions of a block whose windows the inner ones ask, themselves included.

        Parameters
        ----------
        shape : (int, int)
            Rows and columns of the block.
        inner : (slice, slice)
        width_positions : float
            See `shifts`.
        """
        asked = np.zeros(shape, bool)
        for dy, dx, _ in self.shifts(width_positions):
            rows, columns = (
                slice(max(0, part.start + d), max(0, part.stop + d))
                for part, d in zip(inner, (dy, dx), strict=True)
            )
            asked[rows, columns] = True
        return asked

    def apply(
        self,
        probabilities: Floats,
        novelty: Floats,
        inner: tuple[slice, slice],
        width_positions: float,
    ) -> Floats:
        """Probabilities of the inner positions with what their neighbors say.

        Parameters
        ----------
        probabilities : ndarray of float32, shape (y, x, n_directions)
        novelty : ndarray of float32, shape (y, x)
            NaN where there is no data.
        inner : (slice, slice)
        width_positions : float
            See `shifts`.

        Returns
        -------
        ndarray of float32, shape (rows, columns, n_directions)
            Sum 1; zero where there is no data.
        """
        known = np.isfinite(novelty)
        logs, roots = np.log(np.maximum(probabilities, _FLOOR)), np.sqrt(probabilities)
        novel = np.where(known, novelty, np.inf)
        own_roots, own_novel = roots[inner], novel[inner]
        total = np.zeros_like(own_roots)
        weights = np.zeros(own_novel.shape, np.float32)
        possible = np.zeros(own_novel.shape, np.float32)
        for dy, dx, near in self.shifts(width_positions):
            # Where the neighbor lies outside there is none.
            y0, y1 = max(0, inner[0].start + dy), min(len(known), inner[0].stop + dy)
            x0, x1 = max(0, inner[1].start + dx), min(known.shape[1], inner[1].stop + dx)
            if y0 >= y1 or x0 >= x1:
                continue
            here = (
                slice(y0 - dy - inner[0].start, y1 - dy - inner[0].start),
                slice(x0 - dx - inner[1].start, x1 - dx - inner[1].start),
            )
            there = (slice(y0, y1), slice(x0, x1))
            agreement = np.einsum("yxn,yxn->yx", own_roots[here], roots[there])
            with np.errstate(invalid="ignore"):
                relative = novel[there] / np.maximum(own_novel[here], 1e-6) - 1
                weight = near * agreement**self.agreement * np.exp(-self.trust * relative)
            weight = np.where(known[there] & known[inner][here], weight, 0).astype(np.float32)
            total[here] += weight[..., None] * logs[there]
            weights[here] += weight
            possible[here] += np.where(known[there], near, 0)
        agreed = np.minimum(weights / np.where(possible > 0, possible, 1), 1)
        total *= ((1 + self.gain * agreed) / np.where(weights > 0, weights, 1))[..., None]
        shared = np.exp(total - total.max(axis=-1, keepdims=True))
        shared /= shared.sum(axis=-1, keepdims=True)
        shared[weights == 0] = probabilities[inner][weights == 0]
        return np.asarray(shared, np.float32)
