"""Scans from and to HyperSpy signals."""

from __future__ import annotations

from typing import Any

from napari_polmap.errors import ScanError
from napari_polmap.io.axes import Axis, calibrate
from napari_polmap.scan import Scan


def scan_from_signal(signal: Any) -> Scan:
    """A scan from a HyperSpy signal.

    Parameters
    ----------
    signal : hyperspy.api.signals.BaseSignal
        Two navigation and two signal axes, lazy or not; or four signal axes (y, x, ky, kx), as
        HyperSpy gives for arrays without axes.

    Returns
    -------
    Scan
        With the signal's calibration, source "file".

    Raises
    ------
    ScanError
        If the signal has other axes.
    """
    manager = getattr(signal, "axes_manager", None)
    if manager is None:
        raise ScanError(
            f"A HyperSpy signal was expected, but this is {type(signal).__name__}; use "
            "Scan(array) for an array."
        )
    navigation, signals = manager.navigation_dimension, manager.signal_dimension
    if (navigation, signals) not in ((2, 2), (0, 4)):
        raise ScanError(
            f"A scan has two navigation and two signal axes, but this signal has {navigation} and "
            f"{signals}; transpose it first."
        )
    described = sorted(manager.as_dictionary().items(), key=lambda item: int(item[0].split("-")[1]))
    axes = [Axis.from_mapping(values) for _, values in described]
    metadata = signal.metadata.as_dictionary()
    calibration, center, warnings = calibrate((axes[0], axes[1], axes[2], axes[3]), metadata)
    title = str(signal.metadata.get_item("General.title", ""))
    return Scan(
        signal.data,
        calibration,
        name=title or None,
        metadata={**metadata, "axes_center_px": center},
        warnings=tuple(warnings),
    )


def scan_to_signal(scan: Scan) -> Any:
    """A lazy HyperSpy signal with axes named y, x, ky, kx.

    Returns
    -------
    hyperspy.api.signals.BaseSignal
        Scan axes in nm, detector axes in mrad with their zero at the bright-field disk's center,
        where these are known.
    """
    import hyperspy.api as hs

    calibration = scan.calibration
    step, pixel = calibration.step_nm, calibration.mrad_per_pixel
    axes = []
    for name, size in zip(("y", "x", "ky", "kx"), scan.shape, strict=True):
        axis: dict[str, Any] = {"name": name, "size": size, "navigate": name in ("y", "x")}
        if name in ("y", "x") and step is not None:
            axis |= {"units": "nm", "scale": step}
        elif name in ("ky", "kx") and pixel is not None:
            center = calibration.center_px or (0.0, 0.0)
            offset = -center[("ky", "kx").index(name)] * pixel
            axis |= {"units": "mrad", "scale": pixel, "offset": offset}
        axes.append(axis)
    microscope = {
        key: value
        for key, value in (
            ("beam_energy", calibration.energy_kv),
            ("convergence_angle", calibration.semi_angle_mrad),
        )
        if value is not None
    }
    metadata: dict[str, Any] = {"General": {"title": scan.name}}
    if microscope:
        metadata["Acquisition_instrument"] = {"TEM": microscope}
    return hs.signals.Signal2D(scan.data, axes=axes, metadata=metadata).as_lazy()
