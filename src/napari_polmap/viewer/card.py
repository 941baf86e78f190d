"""A classifier's card as text for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_UNITS = {
    "kv": "kV",
    "mrad": "mrad",
    "nm": "nm",
    "px": "px",
    "deg": "°",
    "angstrom": "Å",
    "cells": "unit cells",
    "electrons": "electrons",
}
_LONGEST_WORD = 32
_LEFT_OUT = ("recipe", "curves", "confusion", "reliability")
"""Long tables, which are drawn as figures or told by ``polmap classifiers show --json``."""
_SPECIAL = {
    "energy_kv": "Voltage",
    "semi_angle_mrad": "Semi-angle",
    "lattice_nm": "Lattice period",
    "overlap": "Overlap λ/(a·α)",
    "ece": "Calibration error",
}


def card_lines(card: Mapping[str, Any]) -> list[str]:
    """The card, one value a line, nested values indented.

    Parameters
    ----------
    card : mapping
        Plain values: numbers, texts, ranges as lists of two, mappings.
    """
    return list(_lines(card, ""))


def _lines(values: Mapping[str, Any], indent: str) -> Sequence[str]:
    lines: list[str] = []
    for key, value in values.items():
        if key in _LEFT_OUT:
            continue
        label, unit = _label(str(key))
        if isinstance(value, Mapping):
            if value:
                lines.append(f"{indent}{label}:")
                lines += _lines(value, indent + "    ")
        elif isinstance(value, list) and value and isinstance(value[0], list):
            lines.append(f"{indent}{label}:")
            lines += [
                f"{indent}    {_text([low, high])}{unit}: {share:.1%} of {n:,}"
                for low, high, n, share in value
            ]
        elif value is not None and value != []:
            lines.append(f"{indent}{label}: {_text(value)}{unit}")
    return lines


def _label(key: str) -> tuple[str, str]:
    """Name for people and unit, from a key such as ``thickness_nm``."""
    stem, _, last = key.rpartition("_")
    unit = _UNITS.get(last, "") if stem else ""
    if key in _SPECIAL:
        label = _SPECIAL[key]
    else:
        label = (stem if unit else key).replace("_", " ")
        label = label[:1].upper() + label[1:]
    return label, unit if unit in ("", "°") else f" {unit}"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:.4g}" if isinstance(value, float) else f"{value}"
    if isinstance(value, list | tuple):
        numbers = all(isinstance(item, int | float) for item in value)
        if len(value) == 2 and numbers:
            return " to ".join(_text(item) for item in value)
        return ", ".join(_text(item) for item in value)
    text = str(value)
    # Hashes are told by their beginning.
    return text if " " in text or len(text) <= _LONGEST_WORD else f"{text[:12]}…"
