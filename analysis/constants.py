"""Constants of the analysis, in data files: a value with its unit, provenance and source."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brian2.units import Quantity, allunits

from mstpn.synapses.memristor import PROVENANCES

__all__ = ["DataError", "Sourced", "read_table", "sourced"]

_MARKS = (*PROVENANCES, "cited")
_UNITS: dict[str, Any] = {
    "1": 1.0,
    "s": allunits.second,
    "V": allunits.volt,
    "nS": allunits.nsiemens,
    "mJ": allunits.mjoule,
    "uJ": allunits.ujoule,
    "nJ": allunits.njoule,
    "pJ": allunits.pjoule,
}


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
