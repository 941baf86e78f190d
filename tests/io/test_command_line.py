"""The command line of a scan's options, read back by the real one."""

from __future__ import annotations

import inspect
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from napari_polmap.cli.options import ScanOptions, ScanPath, _parse, with_scan_options
from napari_polmap.io.command_line import command_line

FULL: dict[str, Any] = {
    "nav_shape": (3, 6),
    "dataset": "/entry data/it's",
    "index": (0, -1),
    "axes": "-y,x,ky,kx",
    "flyback": 1,
    "sidecar": False,
    "bad_pixels": Path("a mask.tif"),
    "step_nm": 0.1 + 0.2,
    "mrad_per_pixel": 1e-3,
    "energy_kv": 300.0,
    "semi_angle_mrad": 24.0,
    "center_px": (-1.5, 7.25),
    "radius_px": 8.0,
    "descan_px": (-0.02, 0.0, 0.001, 1e-5),
    "ellipse": (1.04, -30.0),
    "rotation_deg": -30.0,
    "flip": True,
    "crystal_angle_deg": -5.0,
    "lattice_nm": 0.4,
}


def parsed(command: str) -> tuple[Path, dict[str, Any]]:
    """What the command line's own parser makes of a command."""
    found: list[tuple[Path, ScanOptions]] = []

    def info(scan: ScanPath, scan_options: ScanOptions) -> None:
        found.append((scan, scan_options))

    app = typer.Typer()
    app.command()(with_scan_options(info))
    program, name, *arguments = shlex.split(command)
    assert (program, name) == ("polmap", "info")
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    scan, options = found[0]
    return scan, {**options.reading, **options.calibration}


@pytest.mark.parametrize("path", ["scan.mib", "my scan (1).npy", "-odd.npy", "$HOME/it's.hspy"])
def test_every_option_comes_back(path: str) -> None:
    scan, options = parsed(command_line(path, FULL))
    assert scan == Path(path)
    assert options == FULL


def test_no_option_of_the_command_line_is_missing() -> None:
    assert len(FULL) == len(inspect.signature(_parse).parameters)


def test_numpy_values_and_what_is_not_given() -> None:
    options = {"nav_shape": np.array([3, 5]), "step_nm": np.float64(0.05), "flip": False}
    command = command_line("a.npy", {**options, "radius_px": None})
    assert command == "polmap info a.npy --nav-shape 3,5 --step 0.05 --no-flip"
    assert parsed(command)[1] == {"nav_shape": (3, 5), "step_nm": 0.05, "flip": False}


def test_an_unknown_option_is_not_dropped_silently() -> None:
    with pytest.raises(KeyError):
        command_line("a.npy", {"measure": False})
