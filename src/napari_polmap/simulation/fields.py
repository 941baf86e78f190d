"""Fields of a simulation's description: what each takes, its default and what it means.

A section is a frozen dataclass whose fields are made by `entry`; the same metadata reads it from
TOML, checks it, and makes the table of all fields.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.checks import checked, checked_pair
from napari_polmap.simulation.ranges import DISTRIBUTIONS, Choice, Disk, Range

Section = TypeVar("Section")
_MOST_SEEDS = 100_000


@dataclass(frozen=True)
class Kind:
    """What a field takes.

    Parameters
    ----------
    words : str
        For people, such as ``a number above 0``.
    read : callable
        Checks and converts a value; raises what `PolmapError` or ``ValueError`` says otherwise.
    """

    words: str
    read: Callable[[Any], Any]


@dataclass(frozen=True)
class FieldRow:
    """A line of the table of fields.

    Parameters
    ----------
    section, name, takes, default, about : str
        Where it stands, what it is called, what it takes, what it is if left out ("" where it must
        be given or is nothing), and what it means.
    """

    section: str
    name: str
    takes: str
    default: str
    about: str


def entry(kind: Kind, about: str, default: Any = dataclasses.MISSING, unset: str = "") -> Any:
    """A field of a section.

    Parameters
    ----------
    kind : Kind
        What it takes.
    about : str
        What it means.
    default : object
        Its value where it is left out; required without.
    unset : str
        What a default of ``None`` stands for.
    """
    metadata = {"kind": kind, "about": about, "unset": unset}
    return dataclasses.field(default=default, metadata=metadata)


def read_section(section: type[Section], values: Any, where: str) -> Section:
    """A section from plain values.

    Parameters
    ----------
    section : type
        The dataclass.
    values : object
        A table of TOML.
    where : str
        What the section is called.

    Raises
    ------
    PolmapError
        If a field is unknown, missing, or not what it takes.
    """
    if not isinstance(values, Mapping):
        raise PolmapError(
            f"[{where}] is {values!r}, but must be a table of fields; write [{where}]."
        )
    fields: dict[str, Any] = {}
    known = {field.name: field for field in dataclasses.fields(section)}  # type: ignore[arg-type]
    for name, value in values.items():
        field = known.get(str(name))
        if field is None:
            raise PolmapError(unknown(f"[{where}]", str(name), list(known)))
        fields[field.name] = read_value(field.metadata["kind"], value, f"{where}.{name}")
    for name, field in known.items():
        if name not in fields and field.default is dataclasses.MISSING:
            raise PolmapError(
                f"{where}.{name} is missing; give {field.metadata['kind'].words}: "
                f"{field.metadata['about']}"
            )
    return section(**fields)


def read_value(kind: Kind, value: Any, where: str) -> Any:
    """A value as its field takes it.

    Raises
    ------
    PolmapError
        If it is something else; the sentence names the field, the value and what is allowed.
    """
    try:
        return kind.read(value)
    except _PartError as error:
        raise PolmapError(f"{where}{error}") from error
    except (PolmapError, ValueError, TypeError) as error:
        raise PolmapError(f"{where} is {value!r}, but must be {kind.words}.") from error


class _PartError(PolmapError):
    """What is wrong within a value: ``.part`` of the field's name, and the sentence."""


def unknown(where: str, name: str, known: list[str]) -> str:
    """The sentence for a name that there is not."""
    near = difflib.get_close_matches(name.lower().replace("-", "_"), known, 1, 0.5)
    if near:
        return f"{where} has no field {name!r}; the nearest is {near[0]!r}."
    return f"{where} has no field {name!r}; its fields are {', '.join(known)}."


def rows_of(section: Any, where: str) -> list[FieldRow]:
    """The table of a section's fields."""
    rows = []
    for field in dataclasses.fields(section):
        default = "" if field.default in (dataclasses.MISSING, None) else _plain(field.default)
        rows.append(
            FieldRow(
                section=where,
                name=field.name,
                takes=field.metadata["kind"].words,
                default=default or field.metadata["unset"],
                about=field.metadata["about"],
            )
        )
    return rows


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Choice):
        value = value.values
    if isinstance(value, tuple):
        return "[" + ", ".join(_plain(part) for part in value) + "]"
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"


def _strict(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError
    return value


def real(low: float = -1e12, high: float = 1e12, *, above: bool = False) -> Kind:
    """A number; `low` itself is excluded by `above`."""
    if above:
        words = f"a number above {low:g}"
    elif low > -1e12:
        words = f"a number of at least {low:g}"
    else:
        words = "a number"
    if high < 1e12:
        words += f" and at most {high:g}" if above or low > -1e12 else f" of at most {high:g}"

    def read(value: Any) -> float:
        if not isinstance(_strict(value), int | float):
            raise TypeError
        return checked("", value, low, high, above=above)

    return Kind(words, read)


def whole(low: int = 0, high: int | None = None) -> Kind:
    """A whole number."""

    def read(value: Any) -> int:
        if not isinstance(_strict(value), int) or value < low:
            raise ValueError
        if high is not None and value > high:
            raise ValueError
        return int(value)

    most = "" if high is None else f" and at most {high}"
    return Kind(f"a whole number of at least {low}{most}", read)


def sign() -> Kind:
    """Plus or minus one."""

    def read(value: Any) -> int:
        if not isinstance(_strict(value), int) or abs(value) != 1:
            raise ValueError
        return int(value)

    return Kind("1 or -1", read)


def flag() -> Kind:
    """True or false."""

    def read(value: Any) -> bool:
        if not isinstance(value, bool):
            raise TypeError
        return value

    return Kind("true or false", read)


def text(words: str = "a text") -> Kind:
    """Some text."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or not value:
            raise ValueError
        return value

    return Kind(words, read)


def one_of(*names: str) -> Kind:
    """One of several names."""

    def read(value: Any) -> str:
        if value not in names:
            raise ValueError
        return str(value)

    return Kind(" or ".join(f'"{name}"' for name in names), read)


def listed(kind: Kind, count: int | None = None) -> Kind:
    """A list of values, of a given length where that is known."""

    def read(value: Any) -> tuple[Any, ...]:
        right = isinstance(value, list | tuple) and len(value) > 0
        if not right or (count is not None and len(value) != count):
            raise ValueError
        return tuple(kind.read(part) for part in value)

    number = {None: "", 2: "two ", 3: "three "}[count]
    return Kind(f"a list of {number}values, each {kind.words}", read)


def either(first: Kind, second: Kind) -> Kind:
    """One kind, or else another."""

    def read(value: Any) -> Any:
        try:
            return first.read(value)
        except (PolmapError, ValueError, TypeError):
            return second.read(value)

    return Kind(f"{first.words}, or {second.words}", read)


def table(kind: Kind) -> Kind:
    """Values by name."""

    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping) or not value:
            raise ValueError
        found: dict[str, Any] = {}
        for name, part in value.items():
            try:
                found[str(name)] = kind.read(part)
            except _PartError as error:
                raise _PartError(f".{name}{error}") from error
            except (PolmapError, ValueError, TypeError) as error:
                raise _PartError(f".{name} is {part!r}, but must be {kind.words}.") from error
        return found

    return Kind(f"a table of names, each {kind.words}", read)


def inner(section: type[Any]) -> Kind:
    """A section within a section."""

    def read(value: Any) -> Any:
        try:
            return read_section(section, value, "")
        except PolmapError as error:
            told = str(error)
            gap = "" if told.startswith(".") else ": "
            raise _PartError(
                f"{gap}{told.replace('[] has', 'there is').removeprefix('[] ')}"
            ) from error

    names = ", ".join(field.name for field in dataclasses.fields(section))
    return Kind(f"a table of {names}", read)


def drawn(kind: Kind) -> Kind:
    """A value, a list of which one is drawn, or a range with a distribution."""
    allowed = ("min", "max", "distribution")

    def read(value: Any) -> Any:
        if isinstance(value, Mapping):
            return _range(value, kind, allowed)
        if isinstance(value, list | tuple):
            return Choice(listed(kind).read(value))
        return kind.read(value)

    names = ", ".join(f'"{name}"' for name in DISTRIBUTIONS)
    return Kind(
        f"{kind.words}; a list of these; or {{ min, max, distribution }} with the distribution "
        f"{names}",
        read,
    )


def _range(value: Mapping[str, Any], kind: Kind, allowed: tuple[str, ...]) -> Range:
    for name in value:
        if name not in allowed:
            raise _PartError(unknown("", str(name), list(allowed)))
    if "min" not in value or "max" not in value:
        raise _PartError(f" is {dict(value)!r}, but a range needs min and max; give both.")
    low, high = kind.read(value["min"]), kind.read(value["max"])
    try:
        return Range(low, high, str(value.get("distribution", "uniform")))
    except PolmapError as error:
        raise _PartError(f": {error}") from error


def drawn_vector(limit: float) -> Kind:
    """A pair of numbers, a list of pairs, or a disk."""

    def pair(value: Any) -> tuple[float, float]:
        return checked_pair("", [_strict(part) for part in value], -limit, limit)

    def read(value: Any) -> Any:
        if isinstance(value, Mapping):
            for name in value:
                if name not in ("max", "distribution"):
                    raise _PartError(unknown("", str(name), ["max", "distribution"]))
            if value.get("distribution", "disk") != "disk":
                raise _PartError(
                    f".distribution is {value['distribution']!r}, but vectors are drawn from a "
                    '"disk".'
                )
            return Disk(real(0, limit).read(value.get("max")))
        if isinstance(value, list | tuple) and value and isinstance(value[0], list | tuple):
            return Choice(tuple(pair(part) for part in value))
        return pair(value)

    return Kind(
        f"two numbers up to {limit:g}; a list of such pairs; or {{ max, distribution = "
        '"disk" }, uniform in a disk of that radius',
        read,
    )


def seeds() -> Kind:
    """Whole numbers: a text of numbers and spans such as ``1-48, 60``."""

    def read(value: Any) -> tuple[int, ...]:
        if isinstance(_strict(value), int):
            value = str(value)
        if not isinstance(value, str):
            raise TypeError
        found: list[int] = []
        for part in value.split(","):
            match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
            if match is None:
                raise ValueError
            first = int(match[1])
            last = int(match[2] or first)
            if not 0 <= last - first < _MOST_SEEDS:
                raise ValueError
            found += range(first, last + 1)
        if len(set(found)) != len(found):
            raise ValueError
        return tuple(found)

    return Kind('seeds such as "1-48" or "1-4, 9", none of them twice', read)
