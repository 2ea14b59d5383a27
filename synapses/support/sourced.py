"""Constants in data files: a value with its unit, provenance and source."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brian2.units import Quantity, Unit, allunits

__all__ = [
    "PROVENANCES",
    "UNIT_SYMBOLS",
    "Constant",
    "DataError",
    "Sourced",
    "read_table",
    "sourced",
]

PROVENANCES = ("paper", "digest", "derived", "stpn", "follow-up", "assumed", "measured")
_MARKS = (*PROVENANCES, "cited")
_PREFIXES = ("", "p", "n", "u", "m")
UNIT_SYMBOLS: dict[str, Unit] = {
    prefix + symbol: getattr(allunits, prefix + unit)
    for symbol, unit in {
        "V": "volt",
        "S": "siemens",
        "A": "amp",
        "ohm": "ohm",
        "m": "metre",
        "m2": "metre2",
        "s": "second",
        "W": "watt",
        "J": "joule",
    }.items()
    for prefix in _PREFIXES
}
"""Units that a data file may name, by symbol."""
_UNITS = {"1": 1.0} | UNIT_SYMBOLS


@dataclass(frozen=True)
class Constant:
    """Where a device constant comes from.

    Parameters
    ----------
    provenance : str
        One of `PROVENANCES`.
    source : str
        Figure, equation or reasoning.
    """

    provenance: str
    source: str


class DataError(ValueError):
    """A data file is missing or malformed; says which field and why."""


@dataclass(frozen=True)
class Sourced:
    """A number and where it comes from.

    Parameters
    ----------
    value : Quantity or float
    provenance, source : str
    """

    value: Quantity
    provenance: str
    source: str


def read_table(path: Path) -> dict[str, Any]:
    """Read a TOML data file.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}") from error


def sourced(name: str, entry: Mapping[str, Any]) -> Sourced:
    """Read one constant from its table.

    Raises
    ------
    DataError
        If a part is missing, or unit or provenance are unknown.
    """
    for part in ("value", "unit", "provenance", "source"):
        if part not in entry:
            raise DataError(f"{name} has no {part!r}")
    for part, allowed in (("unit", tuple(_UNITS)), ("provenance", _MARKS)):
        if entry[part] not in allowed:
            raise DataError(
                f"{name}: {part} must be one of {', '.join(allowed)}, got {entry[part]!r}"
            )
    if isinstance(entry["value"], bool) or not isinstance(entry["value"], int | float):
        raise DataError(f"{name}: value must be a number, got {entry['value']!r}")
    return Sourced(
        entry["value"] * _UNITS[entry["unit"]], entry["provenance"], str(entry["source"])
    )
