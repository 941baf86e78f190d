"""``python -m napari_polmap``: the command line."""

from __future__ import annotations

from napari_polmap.cli import main

if __name__ == "__main__":
    main()
