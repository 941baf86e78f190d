"""Which kind a file is, by its contents where endings clash, and advice for those nobody reads."""

from __future__ import annotations

from pathlib import Path

from napari_polmap.errors import ScanError

KNOWN = (
    ".hspy, .zspy, .mib, .blo, .npy, .emd, .h5, .hdf5, .nxs, .mat (version 7.3), .mrc, .tvips, "
    ".app5, .dm4, EMPAD's .xml, or a folder of TIFF files"
)
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_LARGEST_USER_BLOCK = 2**26
_HDF5_ONLY = ("HSPY", "EMD", "NeXus", "USID", "Arina", "Delmic", "Topspin", "Tofwerk")
"""Readers of files that must be HDF5."""

_NO_SHAPE = "cannot be read without its shape; save the data as .npy"
_CRYSTALLOGRAPHY = (
    "holds a single pattern at most; convert the series to one .h5 file or to a folder of TIFF "
    "files, one per pattern"
)
_ARCHIVE = "is an archive; unpack it first"
_ADVICE = {
    ".raw": "cannot be read by itself; open the .xml file beside it (EMPAD), or save it as .npy",
    ".hdr": "holds no patterns; open the .mib file beside it",
    ".seq": "cannot be read; convert it to .hspy or .npy",
    ".mat": (
        "is a MATLAB file older than version 7.3, which cannot be read; save it again in MATLAB "
        "with save('scan.mat', 'data', '-v7.3'), or the array as .npy"
    ),
    ".npz": "cannot be read; save the array as .npy",
    ".data": "cannot be read; save the data as .npy",
    ".bin": _NO_SHAPE,
    ".dat": _NO_SHAPE,
    ".vol": _NO_SHAPE,
    ".frms6": "cannot be read; convert it to .h5 or .npy, for example with LiberTEM",
    ".ptw": "cannot be read; save the data as .npy",
    ".gtg": "holds no patterns; open the .dm4 file beside it",
    ".gatan": "holds no patterns; open the .dm4 file beside it",
    ".smv": _CRYSTALLOGRAPHY,
    ".edf": _CRYSTALLOGRAPHY,
    ".cbf": _CRYSTALLOGRAPHY,
    ".txt": "is a text file; open the file with the patterns beside it",
    ".csv": "is a text file; open the file with the patterns beside it",
    ".json": "is a text file; open the file with the patterns beside it",
    ".zip": _ARCHIVE,
    ".gz": _ARCHIVE,
    ".tar": _ARCHIVE,
    ".7z": _ARCHIVE,
    ".zarr": "is not a scan of a known kind; open a scan, or a polarization map with load_map",
    ".safetensors": "looks like a classifier, not a scan; choose a scan",
    ".toml": "looks like a labelled data set, not a scan; choose one of its scans",
}


def is_hdf5(path: Path) -> bool:
    """Whether a file is HDF5: its signature at byte 0, or after a user block of 512, 1024, ..."""
    if not path.is_file():
        return False
    size = path.stat().st_size
    with path.open("rb") as file:
        place = 0
        while place < min(size, _LARGEST_USER_BLOCK):
            file.seek(place)
            if file.read(len(_HDF5_SIGNATURE)) == _HDF5_SIGNATURE:
                return True
            place = 2 * place or 512
    return False


def reader_name(path: Path) -> str:
    """Which of RosettaSciIO's readers a file that is not HDF5 is for.

    Raises
    ------
    ScanError
        If none is.
    """
    from rsciio import IO_PLUGINS

    ending = path.suffix.lower()
    if ending in _ADVICE:
        raise ScanError(f"{path} {_ADVICE[ending]}.")
    if ending == ".xml":
        return "EMPAD" if _contains(path, b"raw_file") else "JobinYvon"
    names = [
        str(plugin["name"])
        for plugin in IO_PLUGINS
        if ending[1:] in [str(e).lower() for e in plugin["file_extensions"]]
    ]
    if not names:
        ending = f"the ending {ending}" if ending else "no ending"
        raise ScanError(f"{path} has {ending}, which no reader knows; open one of {KNOWN}.")
    if path.is_file() and names[0] in _HDF5_ONLY:
        raise ScanError(
            f"{path} cannot be read (it is no HDF5 file, as {ending} files are); check that it is "
            "complete and of the kind its ending says."
        )
    return names[0]


def _contains(path: Path, text: bytes) -> bool:
    with path.open("rb") as file:
        return text in file.read(2**20)
