"""Writing a file beside its target and moving it into place when it is whole."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_polmap.errors import ExportError, unwritable


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give the name of a temporary file that becomes `path` when the block ends well.

    Folders that are missing are made. When the block fails, what was at `path` stays as it was.

    Parameters
    ----------
    path : str or Path
        The file to write or to replace.

    Yields
    ------
    Path
        Temporary file beside it.

    Raises
    ------
    ExportError
        If nothing can be written there, or the disk is full.
    """
    target = Path(path).expanduser()
    unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        if target.is_dir():
            raise IsADirectoryError(None, "there is a folder of this name")
        target.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        unfinished.replace(target)
    except OSError as error:
        raise ExportError(unwritable(str(target), target, error)) from error
    finally:
        # A missing parent, or a parent that is a file, leaves nothing to remove.
        if unfinished.parent.is_dir():
            unfinished.unlink(missing_ok=True)


def ending(path: str | Path, allowed: tuple[str, ...], what: str) -> str:
    """The file name's ending in small letters without its dot, if it is an allowed one.

    Raises
    ------
    ExportError
        If it is not; the sentence lists the allowed ones.
    """
    suffix = Path(path).suffix.lower().removeprefix(".")
    suffix = {"tiff": "tif"}.get(suffix, suffix)
    if suffix not in allowed:
        listed = ", ".join(f".{name}" for name in allowed)
        given = f"ends in .{suffix}" if suffix else "has no ending"
        raise ExportError(
            f"{Path(path).name} {given}, but {what} can be written as {listed}; "
            "choose one of these endings."
        )
    return suffix
