from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.ranges import (
    ARRANGEMENT,
    Choice,
    Disk,
    Range,
    draw,
    stream,
    unit_number,
)


def test_first_parameters_keep_their_places_in_the_streams_of_seed_1() -> None:
    # Classifiers rest on these draws: one stream of the specimen, one of each run.
    specimen = np.random.default_rng([1, 0])
    row, column = specimen.uniform(0, 6, 2)
    assert 6 * unit_number(1, "origin_row") == row
    assert 6 * unit_number(1, "origin_column") == column
    assert draw(Range(3.93, 4.01), 1, "lattice_angstrom") == specimen.uniform(3.93, 4.01)
    assert draw(Range(0.5, 1.0), 1, "b_share") == specimen.uniform(0.5, 1.0)
    for number in range(8):
        run = np.random.default_rng([1, 3, number])
        radius = 4.0 * np.sqrt(run.random())
        azimuth = run.uniform(0, 2 * np.pi)
        tilt = (radius * np.cos(azimuth), radius * np.sin(azimuth))
        assert draw(Disk(4.0), 1, "tilt_mrad", number) == tilt
        magnitude = draw(Range(0.08, 0.25), 1, "magnitude_angstrom", number)
        assert magnitude == run.uniform(0.08, 0.25)
        assert draw(Range(-5.0, 5.0), 1, "defocus_nm", number) == run.uniform(-5.0, 5.0)
    arrangement = np.random.default_rng([1, 1]).random(4)
    assert stream(1, ARRANGEMENT).random(4) == pytest.approx(arrangement, abs=0)


def test_draws_of_seed_1_are_these() -> None:
    # As the first training data had them.
    assert draw(Range(3.93, 4.01), 1, "lattice_angstrom") == 3.941532769017571
    assert draw(Disk(4.0), 1, "tilt_mrad", 5) == pytest.approx((3.0367, 1.1919), abs=1e-4)


def test_each_other_parameter_has_a_stream_of_its_own() -> None:
    names = ["astigmatism_nm", "source_size_angstrom", "dose", "beam_radius"]
    units = {unit_number(seed, name, run) for seed in (1, 2) for name in names for run in (None, 0)}
    assert len(units) == 16
    assert unit_number(1, "dose", 3) == unit_number(1, "dose", 3)


@pytest.mark.parametrize("distribution", ["uniform", "normal", "log-uniform"])
def test_distributions_stay_in_their_range(distribution: str) -> None:
    one = Range(2.0, 50.0, distribution)
    values = np.array([one.at(unit) for unit in np.linspace(0, 1, 20_001)[:-1]])
    assert values.min() == pytest.approx(2.0, abs=1e-6)
    assert 49 < values.max() <= 50
    assert (np.diff(values) >= 0).all()
    middle = {"uniform": 26.0, "normal": 26.0, "log-uniform": 10.0}[distribution]
    assert np.median(values) == pytest.approx(middle, rel=1e-3)
    if distribution == "normal":
        # Two standard deviations on either side, cut off there.
        assert values.std() == pytest.approx(12 * 0.880, rel=0.01)


def test_a_disk_is_uniform_in_area_and_azimuth() -> None:
    vectors = np.array([draw(Disk(3.0), seed, "tilt_mrad", 0) for seed in range(2000)])
    length = np.hypot(*vectors.T)
    assert length.max() <= 3.0
    assert (length < 1.5).mean() == pytest.approx(0.25, abs=0.03)
    assert abs(vectors.mean(axis=0)).max() < 0.1


def test_a_choice_takes_each_value_and_a_plain_value_itself() -> None:
    drawn = [draw(Choice((200.0, 300.0)), seed, "energy_kv") for seed in range(200)]
    assert 70 < drawn.count(200.0) < 130
    assert draw(7.0, 1, "defocus_nm", 0) == 7.0
    assert draw((1.0, 2.0), 1, "tilt_mrad", 0) == (1.0, 2.0)


def test_impossible_ranges_are_refused() -> None:
    with pytest.raises(PolmapError, match="at most its max"):
        Range(2.0, 1.0)
    with pytest.raises(PolmapError, match="above 0"):
        Range(0.0, 1.0, "log-uniform")
    with pytest.raises(PolmapError, match="choose uniform"):
        Range(0.0, 1.0, "disk")
    with pytest.raises(PolmapError, match="at least 0"):
        Disk(-1.0)
