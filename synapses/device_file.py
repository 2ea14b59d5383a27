"""Device files as they are written: TOML, before its constants get their units.

What a device is made of them is `mstpn.synapses.memristor`; nothing of Brian2 is loaded here.
"""

import tomllib
from pathlib import Path
from typing import Any

from mstpn.synapses.support.files import one_line

__all__ = ["DEFAULT_DEVICE", "DeviceError", "read_device_file"]

DEFAULT_DEVICE = Path(__file__).with_name("srtio3.toml")
_LARGEST_DEPTH = 8


class DeviceError(ValueError):
    """A device file is missing, malformed or unphysical; says which field and why."""


def read_device_file(path: Path = DEFAULT_DEVICE) -> dict[str, Any]:
    """Fields of a device file, and of those that it is based on.

    Returns
    -------
    dict
        `name`, if there is one, and a table of each constant.

    Raises
    ------
    DeviceError
        If a file cannot be read.
    """
    return _content(path, 0)


def _content(path: Path, depth: int) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise DeviceError(f"device file {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DeviceError(f"device file {path}: {one_line(error)}") from error
    if "based_on" not in content:
        return content
    base = content.pop("based_on")
    if not isinstance(base, str) or not base:
        raise DeviceError(f"device file {path}: based_on must name a device file, got {base!r}")
    if depth == _LARGEST_DEPTH:
        raise DeviceError(f"device file {path}: based_on goes on for {_LARGEST_DEPTH} files")
    beside, ours = path.parent / base, DEFAULT_DEVICE.parent / base
    return _content(beside if beside.exists() or not ours.exists() else ours, depth + 1) | content
