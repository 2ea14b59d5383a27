"""Limits that an array is held against, from `limits.toml` or the command line."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from mstpn.synapses.periphery import CONVERTERS
from mstpn.synapses.support.sourced import Sourced, read_table, sourced

__all__ = ["limits"]

_FILE = Path(__file__).with_name("limits.toml")
_SHARES = ("sag", "kept_actions")
_PUBLISHED = ("endurance_low", "endurance_high")
"""No limits, but what is known elsewhere."""
_CONVERTERS = {"input_bits": "dac", "output_bits": "adc"}


def limits(settings: Iterable[str] = ()) -> Mapping[str, Sourced]:
    """All limits, some of them changed.

    Parameters
    ----------
    settings : iterable of str
        ``name=value`` in the unit of the file.

    Raises
    ------
    ValueError
        If a text is no such pair, a name unknown or twice there, a value not positive and finite,
        a share not below 1, or the pitches in the wrong order.
    """
    table = read_table(_FILE)
    for name, kind in _CONVERTERS.items():
        entry = read_table(CONVERTERS)[kind]
        table[name] = entry | {"value": entry["bits"], "unit": "1"}
    found = {name: sourced(name, entry) for name, entry in table.items()}
    known = {name: entry for name, entry in table.items() if name not in _PUBLISHED}
    given: set[str] = set()
    for text in settings:
        name, _, said = text.partition("=")
        if name not in known:
            units = ", ".join(f"{n} ({e['unit']})" for n, e in known.items())
            raise ValueError(f"limit must be name=value, name of {units}: {text!r}")
        if name in given:
            raise ValueError(f"limit {name} is given twice")
        given.add(name)
        value = _positive(name, said)
        found[name] = Sourced(sourced(name, table[name] | {"value": value}).value, "given", "")
    if found["pitch_from"].value > found["pitch_to"].value:
        raise ValueError(
            f"limit pitch_from must not be above pitch_to, got {found['pitch_from'].value} and "
            f"{found['pitch_to'].value}"
        )
    return found


def _positive(name: str, said: str) -> float:
    try:
        value = float(said)
    except ValueError:
        raise ValueError(f"limit {name} must be a number, got {said!r}") from None
    if not 0 < value < math.inf:
        raise ValueError(f"limit {name} must be positive and finite, got {said}")
    if name in _SHARES and value >= 1:
        raise ValueError(f"limit {name} must be below 1, got {said}")
    return value
