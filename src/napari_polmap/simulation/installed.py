"""Whether what simulations are computed with is installed."""

from __future__ import annotations

from importlib.util import find_spec

from napari_polmap.errors import PolmapError

INSTALL = (
    'Simulating needs abTEM, which is not installed; run pip install "napari-polmap[simulate]".'
)
"""What to tell where it is not."""

_NEEDED = ("abtem", "ase")


def can_simulate() -> bool:
    """Whether abTEM and its structures (ASE) are installed; they are not loaded for that."""
    return all(find_spec(name) is not None for name in _NEEDED)


def need_abtem() -> None:
    """Refuse to begin what could not be computed.

    Raises
    ------
    PolmapError
        If abTEM is not installed; the sentence says how it is.
    """
    if not can_simulate():
        raise PolmapError(INSTALL)
