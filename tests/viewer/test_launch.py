from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import matplotlib.image
import pytest

from napari_polmap.viewer.launch import WINDOW


@pytest.mark.slow
@pytest.mark.usefixtures("qapp")  # a display
def test_the_window_takes_its_own_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    target = tmp_path / "folder" / "window.png"
    code = f"from napari_polmap.viewer.launch import screenshot; screenshot({str(target)!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    picture = matplotlib.image.imread(target)
    assert picture.shape[:2] == WINDOW[::-1]
    assert picture[..., :3].std() > 0.1
