"""HDF5 files as instruments and programs write them, each with the synthetic dipole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.io.dipole import SHAPE, make_dipole

AXES = (("y", "nm", 2.0), ("x", "nm", 2.0), ("ky", "1/nm", 0.5), ("kx", "1/nm", 0.5))
GUID = "030444c4-694d-4184-94be-4bb9ffeda552"
OTHER = "e0c99515-f43c-44c3-8394-132dafbacc39"


def signal(title: str = "dipole", data: Any = None) -> dict[str, Any]:
    """The dipole as a signal for RosettaSciIO's own writers."""
    axes = [
        {"name": name, "size": size, "scale": scale, "offset": 0.0, "units": units,
         "navigate": i < 2, "index_in_array": i, "_type": "UniformDataAxis", "is_binned": False}
        for i, ((name, units, scale), size) in enumerate(zip(AXES, SHAPE, strict=True))
    ]  # fmt: skip
    microscope = {"beam_energy": 200.0, "convergence_angle": 2.0}
    return {
        "data": make_dipole() if data is None else data,
        "axes": axes,
        "metadata": {
            "General": {"title": title},
            "Signal": {"signal_type": ""},
            "Acquisition_instrument": {"TEM": microscope},
        },
        "original_metadata": {},
        "learning_results": {},
        "attributes": {"_lazy": False},
        "tmp_parameters": {},
        "package_info": {"package": "hyperspy", "package_version": "2.5.0"},
        "models": {},
    }


def hyperspy(path: Path) -> None:
    from rsciio.hspy import file_writer

    file_writer(str(path), signal(), chunks=(2, 3, 8, 7), show_progressbar=False)


def hyperspy_detector_first(path: Path) -> None:
    """A transposed signal, as HyperSpy saves it: the flags tell, not the place."""
    hyperspy(path)
    with h5py.File(path, "a") as file:
        group = file["Experiments/dipole"]
        del group["data"]
        group["data"] = make_dipole().transpose(2, 3, 0, 1)
        for number in range(4):
            file.move(f"Experiments/dipole/axis-{number}", f"Experiments/dipole/old-{number}")
        for new, old in enumerate((2, 3, 0, 1)):
            file.move(f"Experiments/dipole/old-{old}", f"Experiments/dipole/axis-{new}")


def hyperspy_old(path: Path) -> None:
    """Version 1 of the format: other names, axes in one group, texts as bytes."""
    with h5py.File(path, "w") as file:
        file.attrs.update({"file_format": "HyperSpy", "file_format_version": b"1.0"})
        group = file.create_group("Experiments/dipole")
        group["data"] = make_dipole()
        group.create_group("mapped_parameters").attrs["title"] = b"dipole"
        group.create_group("original_parameters")
        for number, (name, units, scale) in enumerate(AXES):
            group.create_group(f"_list_4_axes/axis-{number}").attrs.update(
                {"name": name.encode(), "units": units.encode(), "scale": scale, "offset": 0.0,
                 "navigate": number < 2, "index_in_array": number}
            )  # fmt: skip


def emd_of_hyperspy(path: Path) -> None:
    from rsciio.emd import file_writer

    file_writer(str(path), signal(), chunks=(3, 2, 8, 7))


def nexus_of_hyperspy(path: Path) -> None:
    from rsciio.nexus import file_writer

    file_writer(str(path), [signal()])


def _dims(group: h5py.Group, names: tuple[str, ...], units: tuple[str, ...], first: int) -> None:
    for number, (name, unit) in enumerate(zip(names, units, strict=True)):
        scale = 2.0 if number < 2 else 0.5
        dim = group.create_dataset(f"dim{first + number}", data=[0.0, scale])
        dim.attrs.update({"name": name, "units": unit})


def py4dstem(path: Path) -> None:
    """Version 0.14 and later, through emdfile."""
    with h5py.File(path, "w") as file:
        file.attrs.update(
            {"emd_group_type": "file", "version_major": 1, "version_minor": 0,
             "authoring_program": "emdfile"}
        )  # fmt: skip
        root = file.create_group("datacube_root")
        root.attrs.update({"emd_group_type": "root", "python_class": "Root"})
        cube = root.create_group("datacube")
        cube.attrs.update({"emd_group_type": "array", "python_class": "DataCube"})
        cube.create_dataset("data", data=make_dipole()).attrs["units"] = "pixel intensity"
        _dims(cube, ("Rx", "Ry", "Qx", "Qy"), ("nm", "nm", "A^-1", "A^-1"), 0)
        mean = cube.create_group("dp_mean")
        mean.attrs.update({"emd_group_type": "array", "python_class": "VirtualDiffraction"})
        mean["data"] = make_dipole().mean(axis=(0, 1))
        calibration = root.create_group("metadatabundle/calibration")
        calibration["Q_pixel_size"] = 0.05


def py4dstem_old(path: Path) -> None:
    """Versions 0.9 to 0.13: Rx is the row there too."""
    with h5py.File(path, "w") as file:
        top = file.create_group("4DSTEM_experiment")
        top.attrs.update({"emd_group_type": 2, "version_major": 0, "version_minor": 9})
        cubes = top.create_group("data/datacubes")
        for name in ("counted_datacubes", "diffractionslices", "realslices", "pointlists"):
            top.create_group(f"data/{name}")
        cube = cubes.create_group("datacube_0")
        cube.attrs.update({"emd_group_type": 1, "metadata": -1})
        cube.create_dataset("data", data=make_dipole(), chunks=(1, 1, 8, 7))
        _dims(cube, ("R_x", "R_y", "Q_x", "Q_y"), ("[n_m]", "[n_m]", "[n_m^-1]", "[n_m^-1]"), 1)
        microscope = top.create_group("metadata/metadata_0/microscope")
        microscope.attrs["accelerating_voltage"] = 200_000.0


def prismatic(path: Path, depths: int = 1) -> None:
    """A simulation: x before y, a data cube for each depth."""
    with h5py.File(path, "w") as file:
        top = file.create_group("4DSTEM_simulation")
        top.attrs.update({"emd_group_type": 2, "version_major": 0, "version_minor": 5})
        about = top.create_group("metadata/metadata_0/original/simulation_parameters")
        about.attrs.update({"E": 200.0, "sa": 2.0})
        for depth in range(depths):
            cube = top.create_group(f"data/datacubes/CBED_array_depth{depth:04d}")
            cube.attrs["emd_group_type"] = 1
            stored = (make_dipole() + depth).transpose(1, 0, 3, 2)
            cube.create_dataset("datacube", data=stored.astype("f4"), chunks=(1, 1, 7, 8))
            _dims(cube, ("R_x", "R_y", "Q_x", "Q_y"), ("[n_m]", "[n_m]", "[n_m^-1]", "[n_m^-1]"), 1)


def fpd(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs.update({"fpd_version": "0.3.0", "version_major": 0, "version_minor": 2})
        group = file.create_group("fpd_expt/fpd_data")
        group.attrs.update({"emd_group_type": 1, "signal_type": "Signal2D"})
        data = make_dipole(dtype=">u2")[:, :, None]
        group.create_dataset("data", data=data, chunks=(2, 1, 1, 4, 4), compression="gzip")
        for number, name in enumerate(("scanY", "scanX", "colour", "detY", "detX"), start=1):
            size = data.shape[number - 1]
            group.create_dataset(f"dim{number}", data=np.arange(size)).attrs.update(
                {"name": name, "units": "nm" if number < 3 else "?/m"}
            )
        group = file.create_group("fpd_expt/DAC")
        group.attrs["emd_group_type"] = 1
        group["data"] = np.zeros((3, 5, 1, 27), "u1")


def velox(path: Path) -> None:
    """A stack of images: frame last, a description of each frame as bytes."""
    about = {
        "Optics": {"AccelerationVoltage": "200000", "BeamConvergence": "0.002"},
        "BinaryResult": {"PixelSize": {"width": "5e8", "height": "5e8"}, "PixelUnitX": "1/m",
                         "PixelUnitY": "1/m"},
    }  # fmt: skip
    frames = make_dipole().reshape(-1, *SHAPE[2:])
    with h5py.File(path, "w") as file:
        file["Version"] = [json.dumps({"format": "Velox", "version": "1.10"}).encode()]
        group = file.create_group("Data/Image/f9b7fd8a1c7b4c0d8a9f")
        group.create_dataset("Data", data=np.moveaxis(frames, 0, 2), chunks=(8, 7, 1))
        text = np.zeros((60000, len(frames)), np.uint8)
        line = np.frombuffer(json.dumps(about).encode(), np.uint8)
        text[: len(line)] = line[:, None]
        group.create_dataset("Metadata", data=text, compression="gzip")
        file["Presentation/Displays/ImageDisplay/1"] = [b"{}"]


_PATTERN = """<?xml version="1.0" encoding="utf-16"?>
<Metadata Serializer="SeriesItemSerializer" Version="1">
  <Calibration Serializer="ImageCalibrationSerializer" Version="1">
    <X Serializer="ArrayCalibrationSerializer" Version="1">
      <Offset Serializer="Double" Version="1">-0.0015</Offset>
      <Scale Serializer="Double" Version="1">0.0005</Scale>
      <Type Serializer="CalibrationTypeSerializer" Version="1">
        <Index Serializer="Int32" Version="1">2</Index>
        <Text Serializer="String" Version="1">Angle</Text>
      </Type>
    </X>
    <Y Serializer="ArrayCalibrationSerializer" Version="1">
      <Offset Serializer="Double" Version="1">-0.002</Offset>
      <Scale Serializer="Double" Version="1">0.0005</Scale>
      <Type Serializer="CalibrationTypeSerializer" Version="1">
        <Index Serializer="Int32" Version="1">2</Index>
        <Text Serializer="String" Version="1">Angle</Text>
      </Type>
    </Y>
  </Calibration>
  <Metadata Serializer="DictionarySerializer" Version="1">
    <Item>
      <Name Serializer="String" Version="1">RequestedBeamPosition</Name>
      <Value Serializer="ImagePositionSerializer" Version="1">
        <X Serializer="Double" Version="1">{x}</X>
        <Y Serializer="Double" Version="1">{y}</Y>
      </Value>
    </Item>
  </Metadata>
</Metadata>"""
_SESSION = """<?xml version="1.0" encoding="utf-16"?><Metadata><Item>
<Name Serializer="String" Version="1">GunHighVoltage</Name>
<Value Serializer="String" Version="1">200000</Value></Item></Metadata>"""


def topspin(path: Path) -> None:
    """A session with an image and a scan, one group a pattern."""
    data = make_dipole(dtype="f4")
    with h5py.File(path, "w") as file:
        session = file.create_group(GUID)
        session["Metadata"] = np.bytes_(_SESSION)
        session["b5b0b75e-a5ff-4cdc-95d6-cab450c49e09"] = np.zeros((6, 29))
        scan = session.create_group(OTHER)
        for number in range(15):
            y, x = divmod(number, 5)
            text = _PATTERN.format(x=-1.7e-7 + x * 2e-9, y=-3.5e-8 + y * 2e-9)
            scan[f"{number}/Metadata"] = np.bytes_(text)
            scan[f"{number}/Data"] = data[y, x]


def nexus(path: Path) -> None:
    """An NXdata group whose axes are named, one of them missing, with links to the data."""
    with h5py.File(path, "w") as file:
        file.attrs["default"] = "entry"
        entry = file.create_group("entry")
        entry.attrs.update({"NX_class": "NXentry", "default": "data"})
        detector = entry.create_group("a/detector")
        detector["data"] = make_dipole()
        data = entry.create_group("data")
        data.attrs.update(
            {"NX_class": "NXdata", "signal": "data", "axes": ["y", "x", "ky", "."],
             "y_indices": 0, "x_indices": 1, "ky_indices": 2}
        )  # fmt: skip
        data["data"] = h5py.SoftLink("/entry/a/detector/data")
        for (name, units, scale), size in zip(AXES[:3], SHAPE, strict=False):
            data[name] = np.arange(size) * scale
            data[name].attrs["units"] = units


def dimension_scales(path: Path) -> None:
    """HDF5's own way to describe axes; here x is stored before y, and so for the detector."""
    with h5py.File(path, "w") as file:
        stored = make_dipole().transpose(1, 0, 3, 2)
        data = file.create_dataset("scans/first", data=stored, chunks=(5, 1, 7, 8))
        for dimension, which in enumerate((1, 0, 3, 2)):
            name, units, scale = AXES[which]
            values = file.create_dataset(f"scans/{name}", data=np.arange(SHAPE[which]) * scale)
            values.attrs["units"] = units
            values.make_scale(name)
            data.dims[dimension].attach_scale(values)
            data.dims[dimension].label = name


def detector_first(path: Path) -> None:
    """An EMD file of unknown make, whose units alone tell that the detector comes first."""
    with h5py.File(path, "w") as file:
        file.attrs.update({"version_major": 0, "version_minor": 2})
        group = file.create_group("data/scan")
        group.attrs["emd_group_type"] = 1
        group.create_dataset("data", data=make_dipole().transpose(2, 3, 0, 1))
        units = ("1/nm", "1/nm", "nm", "nm")
        for number, (unit, step) in enumerate(zip(units, (0.5, 0.5, 2, 2), strict=True), start=1):
            dim = group.create_dataset(f"dim{number}", data=[0.0, step])
            dim.attrs.update({"name": b"", "units": unit})


def plain(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["measured/patterns"] = make_dipole()
        file["measured/mean"] = make_dipole().mean(axis=(0, 1))
        file["measured/preview"] = np.zeros((2, 2, 2, 2))
        file["dark"] = np.zeros((4, 8, 7))
        file["name"] = "a scan"
        file["again"] = h5py.SoftLink("/measured/patterns")
        file["loop"] = h5py.SoftLink("/")
        file["lost"] = h5py.SoftLink("/nowhere")


def virtual(path: Path) -> None:
    """A virtual data set, a row of the scan in each of three files."""
    layout = h5py.VirtualLayout(SHAPE, "u2")
    for row in range(3):
        part = path.with_name(f"{path.stem}_{row}.h5")
        with h5py.File(part, "w") as file:
            file.create_dataset("row", data=make_dipole()[row], chunks=(1, 8, 7))
        layout[row] = h5py.VirtualSource(part.name, "row", SHAPE[1:])
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("entry/data/data", layout)


def matlab(path: Path, complex_: bool = False) -> None:
    """Version 7.3: a text of 512 bytes before the HDF5 file, arrays column by column."""
    data: Any = make_dipole().T
    if complex_:
        data = np.ones(data.shape, [("real", "f8"), ("imag", "f8")])
    with h5py.File(path, "w", userblock_size=512) as file:
        dataset = file.create_dataset("scan/patterns", data=data, chunks=(7, 8, 5, 1))
        file["scan"].attrs["MATLAB_class"] = np.bytes_("struct")
        dataset.attrs["MATLAB_class"] = np.bytes_("double" if complex_ else "uint16")
        empty = file.create_dataset("nothing", data=np.zeros((2, 2, 2, 2), "u8"))
        empty.attrs.update({"MATLAB_class": np.bytes_("double"), "MATLAB_empty": 1})
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Tue Mar  4 2025".ljust(116))


def eiger(path: Path, triggers: int = 3, images: int = 5, per_file: int = 4) -> None:
    """A master file that links to data files of a few frames each."""
    frames = make_dipole(dtype="u4").reshape(-1, *SHAPE[2:])
    with h5py.File(path, "w") as master:
        settings = master.create_group("entry/instrument/detector/detectorSpecific")
        settings["ntrigger"], settings["nimages"] = triggers, images
        mask = np.zeros(SHAPE[2:], "u4")
        mask[0, 3] = 2
        settings["pixel_mask"] = mask
        group = master.create_group("entry/data")
        for number, first in enumerate(range(0, len(frames), per_file), start=1):
            part = path.with_name(path.name.replace("_master", f"_data_{number:06d}"))
            with h5py.File(part, "w") as file:
                file.create_dataset(
                    "entry/data/data", data=frames[first : first + per_file], chunks=(1, 8, 7)
                )
            group[f"data_{number:06d}"] = h5py.ExternalLink(part.name, "/entry/data/data")


def frames_only(path: Path) -> None:
    """Frames in one data set, as many detectors write them."""
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "entry/data/data", data=make_dipole().reshape(-1, *SHAPE[2:]), chunks=(4, 8, 7)
        )


LAYOUTS: dict[str, tuple[Callable[[Path], None], str, dict[str, Any]]] = {
    "hyperspy": (hyperspy, "a.hspy", {}),
    "hyperspy, detector first": (hyperspy_detector_first, "a.hspy", {}),
    "hyperspy, version 1": (hyperspy_old, "a.hdf5", {}),
    "emd of hyperspy": (emd_of_hyperspy, "a.emd", {}),
    "nexus of hyperspy": (nexus_of_hyperspy, "a.nxs", {}),
    "py4dstem": (py4dstem, "a.h5", {}),
    "py4dstem before 0.14": (py4dstem_old, "a.emd", {}),
    "prismatic": (prismatic, "a.emd", {}),
    "fpd": (fpd, "a.hdf5", {}),
    "velox": (velox, "a.emd", {"nav_shape": SHAPE[:2]}),
    "topspin": (topspin, "a.app5", {}),
    "nexus": (nexus, "a.nxs", {}),
    "dimension scales": (dimension_scales, "a.h5", {}),
    "detector first": (detector_first, "a.emd", {}),
    "plain": (plain, "a.h5", {}),
    "plain emd": (plain, "a.emd", {}),
    "no known ending": (plain, "a.scan", {}),
    "virtual": (virtual, "a.h5", {}),
    "matlab": (matlab, "a.mat", {}),
    "eiger": (eiger, "a_master.h5", {}),
    "eiger, shape given": (eiger, "a_master.h5", {"nav_shape": SHAPE[:2]}),
    "frames": (frames_only, "a.h5", {"nav_shape": SHAPE[:2]}),
}
