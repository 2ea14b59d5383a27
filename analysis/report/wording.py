"""How the report writes numbers: three significant digits, everywhere alike."""

import math
from collections.abc import Sequence

from brian2.units import Quantity, joule, mjoule

__all__ = ["energy", "millijoule", "number", "prefixed", "span"]

_PREFIXES = {0: "", -3: "m", -6: "\N{MICRO SIGN}", -9: "n", -12: "p", -15: "f"}


def number(value: float) -> str:
    """A number in three digits."""
    value = float(f"{value:.3g}")
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".") if abs(value) >= 1e-3 else f"{value:.2e}"


def span(values: Sequence[float]) -> str:
    """Least and largest, or one if they read the same."""
    return " to ".join(dict.fromkeys((number(min(values)), number(max(values)))))


def prefixed(value: float, unit: str) -> str:
    """A number with the prefix that suits it."""
    value = float(f"{value:.3g}")
    exponent = 3 * math.floor(math.log10(abs(value)) / 3) if value else 0
    exponent = min(max(exponent, min(_PREFIXES)), 0)
    return f"{number(value / 10.0**exponent)} {_PREFIXES[exponent]}{unit}".rstrip()


def energy(value: Quantity | float) -> str:
    """An energy, in joule if it has no unit."""
    return prefixed(float(value / joule), "J")


def millijoule(value: Quantity) -> str:
    """An energy for a terminal."""
    return f"{number(float(value / mjoule))} mJ"
