"""The command line ``polmap``: what the program does, without a window."""

from __future__ import annotations

from napari_polmap.cli.app import app, main

__all__ = ["app", "main"]
