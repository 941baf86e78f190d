"""A miniature of the published data: the same folders, 16 x 16 positions on 48 x 48 pixels."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_polmap import load_dataset
from tests.synthetic import CELL, DIRECTIONS, STEP_NM, make_patterns

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
POSITIONS, PIXELS = 16, 48
STACKED = "KNN_Janina_a"
"""The folder whose files have a leading axis."""


def write_folder(folder: Path, patterns: np.ndarray) -> None:
    """One TIFF file a pattern; all but the pixels is written once."""
    folder.mkdir(parents=True)
    flat = patterns.reshape(-1, PIXELS, PIXELS)
    if folder.name == STACKED:
        for number, pattern in enumerate(flat):
            planes = np.stack([pattern, np.zeros_like(pattern)])
            tifffile.imwrite(folder / f"pattern_{number}.tif", planes)
        return
    mark = np.arange(PIXELS * PIXELS, dtype=np.uint16).reshape(PIXELS, PIXELS)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, mark)
    before, after = buffer.getvalue().split(mark.tobytes())
    for number, pattern in enumerate(flat):
        content = before + pattern.astype("<u2").tobytes() + after
        (folder / f"pattern_{number}.tif").write_bytes(content)


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder."""
    root = tmp_path_factory.mktemp("published")
    rng = np.random.default_rng(0)
    for name in ("train", "synthetic", "experimental"):
        for entry in load_dataset(BENCHMARKS / "martinc2026" / f"{name}.toml", root).scans:
            if entry.path.exists():
                continue
            assert entry.direction is not None
            labels = np.full((POSITIONS, POSITIONS), DIRECTIONS.index(entry.direction[-1]))
            seed = int(rng.integers(1000))
            patterns = make_patterns(labels, dose=20000, seed=seed, detector=PIXELS)
            write_folder(entry.path, patterns)
    return root


@pytest.fixture(scope="session")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the benchmark's files, for 16 x 16 positions over 2 x 2 cells."""
    folder = tmp_path_factory.mktemp("benchmarks")
    (folder / "martinc2026").mkdir()
    scale = 128 // POSITIONS
    for name in ("train", "synthetic", "experimental"):
        text = (BENCHMARKS / "martinc2026" / f"{name}.toml").read_text()
        text = text.replace("[128, 128]", f"[{POSITIONS}, {POSITIONS}]")
        text = re.sub(r"step_nm = .*", f"step_nm = {STEP_NM}", text)
        known = f"lattice_nm = {STEP_NM * CELL}\ncenter = [23.6, 23.2]\nradius = 9"
        text = text.replace("lattice_nm = 0.397", known)
        text = re.sub(
            r'region = "(\d+):(\d+),(\d+):(\d+)"',
            lambda m: 'region = "{}:{},{}:{}"'.format(*(int(n) // scale for n in m.groups())),
            text,
        )
        (folder / "martinc2026" / f"{name}.toml").write_text(text)
    return folder
