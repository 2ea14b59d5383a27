"""What a device's pulses can do to the short-term weight F, instead of any update."""

import math
from dataclasses import dataclass

__all__ = ["WriteLimits"]


@dataclass(frozen=True)
class WriteLimits:
    """Limits of the short-term updates; by default nothing is limited.

    Parameters
    ----------
    delta_f_min : float
        A smaller update is not issued.
    delta_f_max : float
        A larger update is issued at this size.
    total_min, total_max : float
        Window of W + F.

    Raises
    ------
    ValueError
        If a pair is reversed or `delta_f_min` negative.
    """

    delta_f_min: float = 0.0
    delta_f_max: float = math.inf
    total_min: float = -math.inf
    total_max: float = math.inf

    @property
    def smallest_issued(self) -> float:
        """Size from which an update is a pulse; one of 0 never is."""
        return max(self.delta_f_min, math.nextafter(0.0, 1.0))

    def __post_init__(self) -> None:
        if not 0 <= self.delta_f_min <= self.delta_f_max:
            raise ValueError(
                "delta_f_min and delta_f_max must satisfy 0 <= delta_f_min <= delta_f_max, "
                f"got {self.delta_f_min} and {self.delta_f_max}"
            )
        if not self.total_min < self.total_max:
            raise ValueError(
                f"total_min must be below total_max, got {self.total_min} and {self.total_max}"
            )
