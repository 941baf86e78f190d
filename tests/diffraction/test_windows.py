"""Windows: weights, sliding at edges and gaps, the same result block by block."""

from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.diffraction.windows import Window, holds_a_cell, window_weights


def test_window_of_a_cell_removes_the_lattice_and_keeps_the_mean() -> None:
    weights = window_weights(1.0, 8.0, 64)
    positions = np.arange(len(weights))
    assert weights.sum() == pytest.approx(1)
    for harmonic in (1, 2, 3):
        amplitude = abs(np.sum(weights * np.exp(2j * np.pi * harmonic * positions / 8)))
        assert amplitude < 0.03


def test_width_is_twice_the_standard_deviation() -> None:
    weights = window_weights(1.0, 20.0, 200)
    offset = np.arange(len(weights)) - (len(weights) - 1) / 2
    # Truncated at 2.5 standard deviations.
    assert np.sqrt(np.sum(weights * offset**2)) == pytest.approx(10, rel=0.06)


@pytest.mark.parametrize(
    ("positions", "cell"), [(8, 8.0), (16, 8.0), (13, 6.5), (24, 8.0), (40, 8.0)]
)
def test_short_scan_takes_whole_cells(positions: int, cell: float) -> None:
    weights = window_weights(1.0, cell, positions)
    assert len(weights) <= max(np.ceil(cell), positions / 2)
    phase = np.exp(2j * np.pi * np.arange(len(weights)) / cell)
    assert weights.sum() == pytest.approx(1)
    assert abs(np.sum(weights * phase)) < 0.05


def test_a_scan_narrower_than_a_cell_is_known() -> None:
    assert holds_a_cell(1.0, 8.1, (8, 40))
    assert not holds_a_cell(1.0, 8.0, (40, 7))
    assert not holds_a_cell(1.0, 8.0, (1, 40))
    # Single patterns, and steps coarser than the cell, need none.
    assert holds_a_cell(0.0, 8.0, (1, 1))
    assert holds_a_cell(1.0, 1.2, (1, 1))


@pytest.mark.parametrize("cell", [None, 0.1, 1.0])
def test_no_window_without_a_resolved_cell(cell: float | None) -> None:
    assert len(window_weights(1.0, cell, 64)) == 1


def _block(shape: tuple[int, int] = (40, 50)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((*shape, 3)).astype(np.float32), np.ones(shape, bool)


def test_average_equals_a_plain_sum_and_slides_inward() -> None:
    values, valid = _block()
    window = Window.of(1.0, 4.0, valid.shape)
    averaged, slid, covered = window.average(values, valid, (slice(0, 40), slice(0, 50)))
    half = len(window.rows) // 2
    weights = np.outer(window.rows, window.columns)[..., None]
    for y, x in [(0, 0), (half, half), (20, 49), (39, 3), (17, 23)]:
        cy, cx = np.clip(y, half, 39 - half), np.clip(x, half, 49 - half)
        around = values[cy - half : cy + half + 1, cx - half : cx + half + 1]
        np.testing.assert_allclose(averaged[y, x], (around * weights).sum((0, 1)), rtol=1e-5)
        assert slid[y, x] == ((cy, cx) != (y, x))
    assert covered.all()


def test_blocks_give_what_the_whole_gives() -> None:
    values, valid = _block()
    valid[11, 30] = False
    window = Window.of(1.0, 3.0, valid.shape)
    whole = window.average(values, valid, (slice(0, 40), slice(0, 50)))
    halo_y, halo_x = window.halo
    for y0, y1, x0, x1 in [(0, 13, 0, 20), (13, 40, 20, 41), (13, 27, 41, 50)]:
        top, bottom = max(0, y0 - halo_y), min(40, y1 + halo_y)
        left, right = max(0, x0 - halo_x), min(50, x1 + halo_x)
        part = window.average(
            values[top:bottom, left:right],
            valid[top:bottom, left:right],
            (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)),
        )
        for one, all_ in zip(part, whole, strict=True):
            np.testing.assert_allclose(one, all_[y0:y1, x0:x1], atol=1e-6)


def test_missing_positions_do_not_enter_a_window() -> None:
    values, valid = _block()
    valid[20:22, 20:22] = False
    values[~valid] = 1e6
    window = Window.of(1.0, 3.0, valid.shape)
    averaged, slid, covered = window.average(values, valid, (slice(0, 40), slice(0, 50)))
    assert not covered[20:22, 20:22].any()
    assert covered.sum() == valid.sum()
    assert averaged[covered].max() < 1.01
    assert slid[19, 20]
    assert not slid[35, 40]
    assert (averaged[20:22, 20:22] == 0).all()


def test_effective_positions_count_the_noise() -> None:
    rng = np.random.default_rng(1)
    window = Window.of(1.0, 5.0, (200, 200))
    noise = rng.standard_normal((200, 200, 1)).astype(np.float32)
    averaged, slid, _ = window.average(
        noise, np.ones((200, 200), bool), (slice(0, 200), slice(0, 200))
    )
    assert 1 / averaged[~slid].var() == pytest.approx(window.effective_positions, rel=0.15)
