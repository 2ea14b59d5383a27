"""What the bench assumes of a device and of its instrument; no source tells."""

__all__ = ["DELTA_F_STD", "READ_NOISE_PICOSIEMENS"]

DELTA_F_STD = 0.05
"""Spread of an update from cycle to cycle, relative."""
READ_NOISE_PICOSIEMENS = 10.0
"""Standard deviation of a read, 0.1 % of the offset conductance."""
