"""Raw frames of Merlin detectors: bits as the chips send them, put in order when they are read."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import ScanError
from napari_polmap.io.frames import forward_slices

_BYTES_PER_PIXEL = {1: 1 / 8, 6: 1, 12: 2, 24: 4}
_DTYPES = {1: "u1", 6: "u1", 12: "u2", 24: "u4"}


def raw_bytes(shape: tuple[int, int], depth: int) -> int:
    """Bytes of a raw frame.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of the frame.
    depth : int
        Bits of the counter.

    Raises
    ------
    ScanError
        If no counter has that depth.
    """
    if depth not in _BYTES_PER_PIXEL:
        raise ScanError(
            f"Raw frames of {depth} bits cannot be read, only those of 1, 6, 12 or 24; save the "
            "scan from the Merlin program as processed images."
        )
    return int(shape[0] * shape[1] * _BYTES_PER_PIXEL[depth])


class RawFrames:
    """Raw frames of a Merlin detector as lazy frames ``(n, ky, kx)``.

    Parameters
    ----------
    content : ndarray of uint8, shape (n, bytes)
    shape : (int, int)
        Rows and columns of a frame.
    depth : int
        Bits of the counter: 1, 6, 12 or 24.
    quad : bool
        Whether four chips, two by two, make the detector.

    Notes
    -----
    Words of 64 bits hold their pixels in reverse: 64 of 1 bit, 8 of 6 bits, 4 of 12 bits; 24 bits
    are two images of 12 bits, the high one first. The rows of four chips follow one another from
    the fourth to the first; the lower two are turned by 180°. This is the layout that LiberTEM's
    reader and its tests describe. Rows are stored from the bottom up, as in processed frames.
    """

    ndim = 3

    def __init__(
        self, content: npt.NDArray[np.uint8], shape: tuple[int, int], depth: int, *, quad: bool
    ) -> None:
        self._content = content
        self._depth = depth
        self._quad = quad
        self.shape = (len(content), *shape)
        self.dtype = np.dtype(_DTYPES[depth])

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        (frames, rows, columns), finish = forward_slices(key, self.shape)
        content = np.ascontiguousarray(self._content[frames])
        out: npt.NDArray[Any] = self._frames(content)[:, ::-1][:, rows, columns][finish]
        return out

    def _frames(self, content: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        count, (height, width) = len(content), self.shape[1:]
        pixels = _pixels(content, self._depth)
        if not self._quad:
            return pixels.reshape(count, height, width)
        chips = pixels.reshape(count, height // 2, 4, width // 2)
        fourth, third, second, first = (chips[:, :, number] for number in range(4))
        upper = np.concatenate([first, second], axis=2)
        lower = np.concatenate([third[:, ::-1, ::-1], fourth[:, ::-1, ::-1]], axis=2)
        return np.concatenate([upper, lower], axis=1)


def _pixels(content: npt.NDArray[np.uint8], depth: int) -> npt.NDArray[Any]:
    """Pixels in the order of the chips' rows, shape ``(n, pixels)``."""
    count = len(content)
    if depth == 24:
        half = content.shape[1] // 2
        high, low = (
            _pixels(np.ascontiguousarray(part), 12) for part in np.split(content, [half], axis=1)
        )
        return (high.astype(np.uint32) << 12) + low
    if depth == 12:
        words = content.view(">u2").reshape(count, -1, 4)
        return words[:, :, ::-1].reshape(count, -1).astype(np.uint16)
    turned = content.reshape(count, -1, 8)[:, :, ::-1].reshape(count, -1)
    return turned if depth == 6 else np.unpackbits(turned, axis=1, bitorder="little")
