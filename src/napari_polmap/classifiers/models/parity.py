"""Our own network: parity and the symmetry of the square built in, small and fast on a CPU."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from napari_polmap.classifiers.models.base import FitProgress
from napari_polmap.classifiers.models.features import Floats, PcaFeatures
from napari_polmap.classifiers.models.network import Network
from napari_polmap.classifiers.symmetries import symmetries

if TYPE_CHECKING:
    from napari_polmap.classifiers.models.architectures import PatternNetwork
    from napari_polmap.classifiers.models.parity_network import ParityNetwork

_CHUNK = 4096
_LEAST = 1e-9


@dataclass
class Parity(Network):
    """A network on odd and even components, equivariant under the square's operations.

    What is not centrosymmetric in a pattern tells the polarization, what is centrosymmetric tells
    how to read it (thickness, defocus); the network keeps the two apart. It judges a pattern under
    every operation of the square that maps the directions onto themselves, and multiplies what it
    says, so that a turned pattern gives the turned direction exactly. Its first layer is linear: a
    window averages some hundred components instead of whole patterns.

    Parameters
    ----------
    odd, even : int
        Components of the antisymmetric and of the symmetric part.
    width, depth : int
        Features of the odd stream, and how many times it is mixed.
    dropout : float
        Share of the updates left out while learning.
    floor : float
        Variance, in units of the squared mean pixel, below which components count less.
    schedule : {"one-cycle", "constant"}
        See `NetworkSettings`; the other parameters stand there, too.
    """

    odd: int = 160
    even: int = 64
    width: int = 128
    depth: int = 2
    dropout: float = 0.15
    floor: float = 0.02
    epochs: int = 80
    batch: int = 512
    learning_rate: float = 1e-3
    schedule: str = "one-cycle"
    _moves: list[tuple[Any, ...]] = field(
        default_factory=list, init=False, repr=False, compare=False
    )
    kind = "parity"
    stops_early = False

    @property
    def odd_count(self) -> int:
        """Odd components there are: pairs, and no more than half of the pixels."""
        return min(self.odd, self.size**2 // 2) // 2 * 2

    @property
    def even_count(self) -> int:
        """Even components there are."""
        return min(self.even, (self.size**2 + 1) // 2)

    def build(self, outputs: int) -> PatternNetwork:
        """The network without anything learned; see `NetworkSettings.build`."""
        from napari_polmap.classifiers.models.parity_network import ParityNetwork

        return ParityNetwork(
            self.size,
            outputs,
            odd=self.odd_count,
            even=self.even_count,
            width=self.width,
            depth=self.depth,
            dropout=self.dropout,
            floor=self.floor,
        )

    @property
    def features(self) -> PcaFeatures:  # type: ignore[override]
        """Linear components that a window may average in place of patterns."""
        return PcaFeatures(
            self.arrays_["network.basis"], self.arrays_["network.offset"], self.odd_count
        )

    def predict_proba(self, patterns: Floats) -> Floats:
        """Probabilities ``(n, n_directions)`` of normalized patterns ``(n, size * size)``."""
        return self.predict_components(self.features.project(patterns))

    def predict_components(self, components: Floats) -> Floats:
        """Probabilities from the components ``(n, k)`` of `features`."""
        moves = self._operations()
        parts = [np.zeros((0, len(self.directions)), np.float32)]
        for start in range(0, len(components), _CHUNK):
            chunk = components[start : start + _CHUNK]
            logarithms = np.zeros((len(chunk), len(self.directions)), np.float32)
            count = 0
            for matrix, *classes in moves:
                for seen, where in zip(self._judged(chunk @ matrix.T), classes, strict=False):
                    logarithms += np.log(np.maximum(seen, _LEAST))[:, where]
                    count += 1
            logarithms /= count
            likely = np.exp(logarithms - logarithms.max(axis=1, keepdims=True))
            parts.append(likely / likely.sum(axis=1, keepdims=True))
        return np.concatenate(parts)

    def _judged(self, components: Floats) -> tuple[Floats, Floats]:
        """What the network says of patterns as they are, and of these turned by half a turn."""
        import torch

        at_work = self.at_work()
        rows = torch.from_numpy(np.ascontiguousarray(components, np.float32))
        with torch.inference_mode():
            module = cast("ParityNetwork", at_work.module)
            odd, even = module.halves(rows.to(module.input_mean.device))
        return at_work.probabilities_of(even + odd), at_work.probabilities_of(even - odd)

    def iter_fit(self, *arguments: Any, **options: Any) -> Generator[FitProgress, None, Parity]:
        """`fit` step by step; see `Model.iter_fit`."""
        self._moves = []
        return (yield from super().iter_fit(*arguments, **options))

    def _operations(self) -> list[tuple[Any, ...]]:
        """What the square's operations do to the components, and to the classes.

        Each with the classes under the same operation and half a turn, where that is one, too: the
        network need not be asked again for it.
        """
        if self._moves:
            return self._moves
        basis = self.arrays_["network.basis"]
        back = basis.T / np.sum(basis**2, axis=1)
        places = np.arange(self.size**2).reshape(1, self.size, self.size)
        found = {(move.mirrored, move.turns): move for move in symmetries(self.directions)}
        for (mirrored, turns), move in found.items():
            half_turned = found.get((mirrored, (turns + 2) % 4))
            if half_turned is not None and turns >= 2:
                continue
            moved = np.empty_like(basis)
            moved[:, move.patterns(places).ravel()] = basis
            classes = [one.classes for one in (move, half_turned) if one is not None]
            self._moves.append((moved @ back, *classes))
        return self._moves

    def settings(self) -> dict[str, Any]:
        """Plain values for the classifier's file."""
        return {
            **super().settings(),
            "odd": self.odd,
            "even": self.even,
            "width": self.width,
            "depth": self.depth,
            "dropout": self.dropout,
            "floor": self.floor,
        }
