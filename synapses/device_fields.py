"""The fields of a device file as constants, each with its unit, provenance and source."""

import math
from collections.abc import Mapping
from typing import Any

from brian2.units import allunits

from mstpn.synapses.device_file import DEFAULT_DEVICE, DeviceError
from mstpn.synapses.support.sourced import PROVENANCES, UNIT_SYMBOLS, Constant

__all__ = ["UNITS", "Sources", "parse_fields"]

UNITS: dict[str, Any] = {
    "1": 1,
    "volt": allunits.volt,
    "siemens": allunits.siemens,
    "second": allunits.second,
    "watt": allunits.watt,
    "joule": allunits.joule,
}
"""Units of a device's constants, by Brian2's name."""


class Sources(dict[str, Constant]):
    """Where each constant is from; read-only, so that devices can share it."""

    def __setitem__(self, name: str, value: Constant) -> None:
        raise TypeError("the sources of a device's constants are read-only")

    def __reduce__(self) -> Any:
        return type(self), (dict(self),)

    def __deepcopy__(self, _memo: Any) -> "Sources":
        return self


def parse_fields(content: dict[str, Any], expected: Mapping[str, str]) -> dict[str, Any]:
    """Fields of a device as its class takes them, and `constants`, where they are from.

    Parameters
    ----------
    content : dict
        From `mstpn.synapses.device_file.read_device_file`.
    expected : mapping of str to str
        Brian2's name of each constant's unit, or "1".

    Raises
    ------
    DeviceError
        If a field is missing, unknown, no number or of a wrong unit; the message names it.
    """
    unknown = content.keys() - expected.keys() - {"name"}
    if unknown:
        raise DeviceError(f"unknown field {min(unknown)!r}")
    parsed: dict[str, Any] = {"name": str(content.get("name", "memristor"))}
    sources = {}
    for name, unit in expected.items():
        entry = content.get(name)
        if not isinstance(entry, dict):
            raise DeviceError(
                f'missing field {name!r} (with a line based_on = "{DEFAULT_DEVICE.name}" a file '
                "has what it lacks from the package's device)"
            )
        for part in ("value", "unit", "provenance", "source"):
            if part not in entry:
                raise DeviceError(f"field {name!r} has no {part!r}")
        value, symbol = entry["value"], entry["unit"]
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            raise DeviceError(f"field {name!r}: value must be a number, got {value!r}")
        if unit == "1":
            if symbol != "1":
                raise DeviceError(f"field {name!r}: unit must be '1', got {symbol!r}")
            parsed[name] = float(value)
        else:
            known = UNIT_SYMBOLS.get(symbol)
            if known is None or known.dim != UNITS[unit].dim:
                allowed = ", ".join(s for s, u in UNIT_SYMBOLS.items() if u.dim == UNITS[unit].dim)
                raise DeviceError(f"field {name!r}: unit must be one of {allowed}, got {symbol!r}")
            parsed[name] = float(value) * known
        if entry["provenance"] not in PROVENANCES:
            raise DeviceError(
                f"field {name!r}: provenance must be one of {', '.join(PROVENANCES)}, "
                f"got {entry['provenance']!r}"
            )
        sources[name] = Constant(entry["provenance"], str(entry["source"]))
    parsed["constants"] = Sources(sources)
    return parsed
