"""What the header of a table says: which quantity a column holds, in which unit."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from brian2.units import allunits

__all__ = ["ALIASES", "Heading", "heading", "plain_name", "unit_named", "units"]

_PREFIXES = ("f", "p", "n", "u", "m", "", "k")
_LETTERS = str.maketrans(
    {
        "\N{MICRO SIGN}": "u",
        "\N{GREEK SMALL LETTER MU}": "u",
        "\N{GREEK CAPITAL LETTER DELTA}": "d",
        "\N{INCREMENT}": "d",
        "\N{GREEK CAPITAL LETTER OMEGA}": "ohm",
        "\N{OHM SIGN}": "ohm",
    }
)
_BRACKETS = re.compile(r"(?P<name>.*?)[\s_]*[(\[{](?P<unit>[^()\[\]{}]*)[)\]}]")
_BESIDE = re.compile(r"(?P<name>.+?)(?:\s*/\s*|\s+in\s+|\s*,\s*|[\s_]+)(?P<unit>\S+)")
_WORDS = {
    "volt": "v|volts?",
    "second": "sec(?:ond)?s?",
    "siemens": r"siemens|mho|1/ohm|ohm\^-1",
    "amp": "a|amps?|amperes?",
    "ohm": "ohms?",
    "watt": "w|watts?",
    "joule": "j|joules?",
}
_SPOKEN = {
    **{prefix: prefix for prefix in (*_PREFIXES, "M", "G")},
    "K": "k",
    **{f"(?i:{p})": p[0] for p in ("femto", "pico", "nano", "milli", "kilo")},
    "(?i:micro)": "u",
    "(?i:mega)": "M",
    "(?i:giga)": "G",
}

ALIASES: Mapping[str, str] = {
    "voltage": "v | pulse voltage | vpulse | v pulse | vp | amplitude | pulse amplitude | "
    "pulse height | v write | vwrite | v prog | vprog | v amp | vamp",
    "width": "w | pulse width | pw | tw | tp | t pulse | tpulse | twidth | t width | "
    "duration | pulse duration",
    "dG": "delta g | deltag | conductance change | g change",
    "dF": "delta f | deltaf",
    "energy": "e | pulse energy | e pulse | epulse",
    "pulses": "n | number | n pulses | number of pulses | pulse number | pulse | pulse count | "
    "count",
    "round": "part",
    "decay": "lambda | \N{GREEK CAPITAL LETTER LAMDA}",
    "bias voltage": "v | vbias | v bias | bias | vb | voltage | v hold | vhold",
    "time": "t | elapsed time | relative time | rel time | delay | time after pulse",
    "conductance": "g",
    "resistance": "r",
    "current": "i | measured current | i meas | imeas",
    "current change": "di | delta i | deltai",
    "read voltage": "vread | v read | readout voltage | v readout",
    "conductance before": "g before | g0 | g pre | g initial",
    "conductance after": "g after | g1 | g post | g final",
    "resistance before": "r before | r0 | r pre | r initial",
    "resistance after": "r after | r1 | r post | r final",
    "current before": "i before | i0 | i pre | i initial",
    "current after": "i after | i1 | i post | i final",
    "weight S": "s | weight | total weight",
    "power": "p",
    "repeat": "rep | cycle | run | trial | repetition | trace | sweep",
    "device": "dev | cell | sample | dut | device id | die",
    "polarity": "sign",
    "compliance": "in compliance | limited | tripped",
}
"""Other names of a column, apart by bars; case, underscores and hyphens do not count."""


class Heading(NamedTuple):
    """What a cell of a header says.

    Parameters
    ----------
    column : str
        Name in the table, "" if there is none.
    unit : str
        As it is written.
    is_own : bool
        Whether the column is called by its own name.
    """

    column: str
    unit: str
    is_own: bool


def plain_name(text: str) -> str:
    """A name as it is compared."""
    spaced = re.sub(r"[\s_\-]+", " ", text.translate(_LETTERS))
    return spaced.strip(" .:").casefold()


def units(name: str) -> dict[str, Any]:
    """A unit of Brian2's name with its prefixes, by symbol; without a unit only "1".

    Parameters
    ----------
    name : str
        Such as "volt", or "1".
    """
    if name == "1":
        return {"1": 1.0}
    prefixes = (*_PREFIXES, "M", "G") if name == "ohm" else _PREFIXES
    prefixed = [getattr(allunits, prefix + name) for prefix in prefixes]
    return {unit.dispname: unit for unit in prefixed}


def unit_named(symbol: str, name: str) -> Any:
    """The unit that is written so, or None; symbols keep their case, words do not.

    Parameters
    ----------
    symbol : str
        Such as "mV", "kOhm" or "sec"; "" for a number without unit.
    name : str
        As of `units`.
    """
    symbol = symbol.strip().translate(_LETTERS)
    if name == "1":
        return {"": 1.0, "1": 1.0, "-": 1.0}.get(symbol)
    known = {unit.dispname.translate(_LETTERS): unit for unit in units(name).values()}
    if symbol in known:
        return known[symbol]
    for spoken, prefix in _SPOKEN.items():
        if re.fullmatch(f"{spoken}(?i:{_WORDS[name]})", symbol):
            return getattr(allunits, prefix + name)
    return None


def heading(text: str, names: Mapping[str, str], unit_of: Mapping[str, str]) -> Heading:
    """What one cell of a header says; its column is "" if it is none of them.

    Parameters
    ----------
    text : str
        "V (mV)", "V [mV]", "V / mV", "V in mV", "V_mV" or "V".
    names : mapping of str to str
        Column by `plain_name`.
    unit_of : mapping of str to str
        Brian2's name of each column's unit.
    """
    text = text.strip()
    if match := _BRACKETS.fullmatch(text):
        return _heading(match["name"], match["unit"].strip(), names)
    if plain_name(text) in names:
        return _heading(text, "", names)
    if (match := _BESIDE.fullmatch(text)) is None:
        return _heading(text, "", names)
    beside = _heading(match["name"], match["unit"], names)
    if beside.column:
        unit = unit_of[beside.column]
        known = unit != "1" and unit_named(beside.unit, unit) is not None
        return beside if known else Heading("", "", False)
    return _heading(text, "", names)


def _heading(name: str, unit: str, names: Mapping[str, str]) -> Heading:
    """By its name with the number of a channel, or without."""
    plain = plain_name(name)
    column = names.get(plain) or names.get(re.sub(r"\s*\d+$", "", plain), "")
    return Heading(column, unit, plain == plain_name(column))
