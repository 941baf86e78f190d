from __future__ import annotations

from napari_polmap.viewer.card import card_lines


def test_values_read_like_sentences() -> None:
    lines = card_lines(
        {
            "structure": "KNN",
            "energy_kv": 200.0,
            "thickness_nm": [10, 50],
            "overlap": 0.261234567,
            "validation": {"accuracy": 0.98765, "groups": ["a", "b", "c"]},
            "empty": {},
            "missing": None,
            "dose_electrons": 1000,
        }
    )
    assert lines == [
        "Structure: KNN",
        "Voltage: 200 kV",
        "Thickness: 10 to 50 nm",
        "Overlap λ/(a·α): 0.2612",
        "Validation:",
        "    Accuracy: 0.9877",
        "    Groups: a, b, c",
        "Dose: 1000 electrons",
    ]


def test_accuracy_by_condition_is_told_in_rows_and_long_tables_are_left_out() -> None:
    by = {"thickness_nm": [[5.0, 10.0, 1200, 0.75], [10.0, 20.0, 800, 0.5]]}
    lines = card_lines(
        {"recipe": {"a": 1}, "validation": {"by": by, "confusion": [[1, 0], [0, 1]]}}
    )
    assert lines == [
        "Validation:",
        "    By:",
        "        Thickness:",
        "            5 to 10 nm: 75.0% of 1,200",
        "            10 to 20 nm: 50.0% of 800",
    ]
