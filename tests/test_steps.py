"""Generators run to their end."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from napari_polmap.steps import finish


def _count(to: int) -> Generator[int, None, str]:
    yield from range(to)
    if to > 3:
        raise ValueError("too far")
    return "done"


def test_result_and_progress() -> None:
    seen: list[int] = []
    assert finish(_count(3), seen.append) == "done"
    assert seen == [0, 1, 2]
    assert finish(_count(0)) == "done"


def test_errors_pass_through() -> None:
    with pytest.raises(ValueError, match="too far"):
        finish(_count(4))
