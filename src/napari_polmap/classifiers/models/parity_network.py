"""The network behind `Parity`: it knows what is odd and what is even under k -> -k."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from napari_polmap.classifiers.models.architectures import PatternNetwork
from napari_polmap.classifiers.models.features import Floats


class ParityNetwork(PatternNetwork):
    """Components of a pattern in, the objective's outputs out.

    The odd stream holds what changes its sign when the pattern is turned by half a turn, as the
    polarization does: its layers have no bias, its nonlinearity is odd, and it is only ever
    multiplied with what is even. The even stream tells thickness and the like, and how strongly
    each feature of the odd one counts there.

    Parameters
    ----------
    size : int
        Width of the patterns in pixels.
    outputs : int
        What the objective asks for.
    odd, even : int
        Components of the antisymmetric and of the symmetric part.
    width, depth : int
        Features of the odd stream, and how many times it is mixed.
    dropout : float
        Share of the updates left out while learning.
    floor : float
        See `prepare`.

    Attributes
    ----------
    basis : Tensor, shape (components, size * size)
        Linear components, the odd ones first; set by `prepare`.
    offset : Tensor, shape (components,)
    """

    basis: Tensor
    offset: Tensor

    def __init__(
        self,
        size: int,
        outputs: int,
        *,
        odd: int,
        even: int,
        width: int,
        depth: int,
        dropout: float,
        floor: float,
    ) -> None:
        super().__init__(size)
        self.n_odd, self.floor = odd, floor
        self.register_buffer("basis", torch.zeros(odd + even, size**2))
        self.register_buffer("offset", torch.zeros(odd + even))
        self.first = nn.Linear(odd, width, bias=False)
        self.gate = _mlp(even, width, width)
        self.mixes = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(depth))
        self.gates = nn.ModuleList(_mlp(width + even, width, width) for _ in self.mixes)
        self.drop = nn.Dropout(dropout)
        self.odd_output = nn.Linear(width, outputs, bias=False)
        self.even_output = _mlp(width + even, width, outputs)

    def prepare(self, patterns: Floats) -> None:
        """Choose the components: principal ones of the odd and of the even part.

        They are those of the patterns under all eight operations of the square, so that the
        operations only mix components of one variance (odd ones come in pairs), and are scaled to
        unit variance above a floor: noise in weak components must not be blown up.

        Parameters
        ----------
        patterns : ndarray of float32, shape (n, size * size)
        """
        size = self.input_mean.shape[-1]
        square = patterns.reshape(-1, size, size)
        mean = square.mean(axis=0, dtype=np.float64)
        mean = np.mean([np.rot90(m, k) for m in (mean, mean[:, ::-1]) for k in range(4)], axis=0)
        half = (square - square[:, ::-1, ::-1]) / 2, (square + square[:, ::-1, ::-1]) / 2 - mean
        rows = []
        for part, count in zip(half, (self.n_odd, len(self.offset) - self.n_odd), strict=True):
            values, vectors = np.linalg.eigh(_square_covariance(part.astype(np.float32)))
            values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
            rows.append((vectors / np.sqrt(np.maximum(values, 0) + self.floor)).T)
        basis = np.concatenate(rows).astype(np.float32)
        self.basis.copy_(torch.from_numpy(basis))
        self.offset.copy_(torch.from_numpy((basis @ mean.ravel()).astype(np.float32)))

    def forward(self, patterns: Tensor) -> Tensor:
        """Outputs ``(n, outputs)`` of normalized patterns ``(n, 1, size, size)``."""
        odd, even = self.halves(patterns.flatten(1) @ self.basis.T - self.offset)
        return even + odd

    def halves(self, components: Tensor) -> tuple[Tensor, Tensor]:
        """Odd and even half of the outputs ``(n, outputs)`` of components ``(n, components)``.

        Their sum is what the network says of a pattern, even minus odd of the pattern turned by
        half a turn.
        """
        odd, even = components[:, : self.n_odd], components[:, self.n_odd :]
        stream = self.first(odd) * (1 + self.gate(even))
        for mix, gate in zip(self.mixes, self.gates, strict=True):
            update = torch.tanh(mix(stream)) * (1 + gate(_evened(stream, even)))
            stream = stream + self.drop(update)
        return self.odd_output(stream), self.even_output(_evened(stream, even))


def _mlp(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.GELU(), nn.Linear(width, outputs))


def _evened(stream: Tensor, even: Tensor) -> Tensor:
    """What is even of the odd stream, growing with its size, beside the even components."""
    return torch.cat([stream * stream / (1 + stream.abs()), even], dim=1)


def _square_covariance(square: Floats) -> np.ndarray:
    """Covariance ``(f, f)`` of patterns ``(n, size, size)`` under all operations of the square."""
    size = square.shape[-1]
    flat = square.reshape(len(square), -1)
    covariance = (flat.T @ flat).astype(np.float64) / len(flat)
    places = np.arange(size * size).reshape(size, size)
    moved = [np.rot90(p, k).ravel() for p in (places, places[:, ::-1]) for k in range(4)]
    return np.mean([covariance[np.ix_(order, order)] for order in moved], axis=0)
