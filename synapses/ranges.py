"""Numbers as a device takes them, or one clear line about those that it does not."""

import math
from typing import Any

import numpy as np
from brian2.units import Quantity, allunits
from brian2.units.fundamentalunits import fail_for_dimension_mismatch

__all__ = ["check_duration", "check_range", "checked_pulse"]


def checked_pulse(voltage: Quantity, width: Quantity) -> tuple[Any, Any]:
    """In volt and second, checked."""
    fail_for_dimension_mismatch(voltage, allunits.volt, "voltage must be in volt")
    fail_for_dimension_mismatch(width, allunits.second, "width must be in second")
    if np.any(np.asarray(width) < 0):
        raise ValueError(f"width must not be negative, got {width}")
    for name, value in (("voltage", voltage), ("width", width)):
        if not np.all(np.isfinite(value)):
            raise ValueError(f"{name} must be finite, got {value}")
    return np.asarray(voltage / allunits.volt), np.asarray(width / allunits.second)


def check_duration(duration: Quantity) -> None:
    """Raise if a duration is not positive or no time."""
    fail_for_dimension_mismatch(duration, allunits.second, "duration must be in second")
    if not 0 < float(duration) < math.inf:
        raise ValueError(f"duration must be positive, got {duration}")


def check_range(name: str, value: Any, low: Any, high: Any, rounding: Any) -> None:
    """Raise if a value lies outside its range, and more than rounding outside, or has no unit."""
    fail_for_dimension_mismatch(value, low, f"{name} has the wrong unit")
    values = np.atleast_1d(np.asarray(value, dtype=float))
    bad = ~((values >= float(low - rounding)) & (values <= float(high + rounding)))
    if bad.any():
        outside = values[bad].flat[0]
        shown = outside if not isinstance(low, Quantity) else Quantity(outside, dim=low.dim)
        raise ValueError(f"{name} must lie in [{low}, {high}], got {shown}")
