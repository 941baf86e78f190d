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
