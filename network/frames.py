"""What an agent sees of a game, and when: one frame per decision, some of them blanked.

In flickering Pong a frame is shown or blanked at random, so that no single picture tells where
the ball is (Hausknecht and Stone, "Deep recurrent Q-learning for partially observable MDPs",
2015; there with probability 1/2).
"""

from collections.abc import Sequence

import numpy as np
from brian2.units import Quantity, second
from numpy.typing import NDArray

__all__ = ["FRAMES_PER_DECISION", "FRAME_RATE_HZ", "STEP_DURATION", "Flicker"]

FRAME_RATE_HZ = 60
FRAMES_PER_DECISION = 4
STEP_DURATION: Quantity = FRAMES_PER_DECISION / FRAME_RATE_HZ * second
"""Game time of one decision."""

_STREAM = 0xF11C


class Flicker:
    """Blanks frames of some games, each by draws of its own.

    Parameters
    ----------
    probability : float
        That a frame is blanked, in [0, 1]; 0 draws nothing.
    seeds : sequence of int
        Of the games; the same seed blanks the same frames.

    Raises
    ------
    ValueError
        If `probability` is none.
    """

    def __init__(self, probability: float, seeds: Sequence[int]) -> None:
        if not 0 <= probability <= 1:
            raise ValueError(f"flicker must lie in [0, 1], got {probability}")
        self.probability = probability
        self._draws = [np.random.default_rng([_STREAM, int(seed)]) for seed in seeds]

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The next frames as they are seen, (games, 84, 84): those blanked are black."""
        if self.probability == 0:
            return frames
        shown = [draw.random() >= self.probability for draw in self._draws]
        return frames * np.array(shown, np.uint8)[:, None, None]
