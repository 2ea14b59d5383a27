"""One game, frame by frame, and its record."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from brian2.units import Quantity, joule, second
from numpy.typing import NDArray

from mstpn.bridge.agents import BrianAgent, TwinAgent
from mstpn.bridge.pong import FRAME_RATE_HZ, FRAMES_PER_DECISION, Pong

__all__ = ["STEP_DURATION", "Agent", "FrameRecorder", "GameRecord", "play_game", "play_twin"]

STEP_DURATION: Quantity = FRAMES_PER_DECISION / FRAME_RATE_HZ * second
"""Game time of one decision."""


class Agent(Protocol):
    """Whatever decides on frames."""

    def reset(self, seed: int) -> None:
        """Prepare for the game of this seed."""

    def step(self, observation: NDArray[np.uint8]) -> int:
        """Return the index of an action."""


class FrameRecorder(Protocol):
    """Whatever keeps the frames of a game."""

    def record(self, z: NDArray[np.float64], h: NDArray[np.float64]) -> None:
        """Take the presynaptic vector (M,) and the output (N,) of one frame."""


@dataclass(frozen=True)
class GameRecord:
    """What one game on the Brian2 network was like.

    Parameters
    ----------
    seed : int
    score : float
        Return: points won minus points lost.
    decisions, frames : int
        Network steps, emulator frames.
    game_time, wall_time : Quantity, second
    step_time_median : Quantity, second
        Brian2 step alone.
    energy : dict of str to Quantity, joule
        `pulse`, `bias`, `read`.
    twin_action_agreement, twin_max_abs_difference : float or None
        Share of equal actions and largest difference of h, if the twin was run beside.
    """

    seed: int
    score: float
    decisions: int
    frames: int
    game_time: Quantity
    wall_time: Quantity
    step_time_median: Quantity
    energy: dict[str, Quantity]
    twin_action_agreement: float | None
    twin_max_abs_difference: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, units in the names."""
        content = asdict(self) | {
            "return": self.score,
            "game_time_s": float(self.game_time),
            "wall_time_s": float(self.wall_time),
            "step_ms_median": 1e3 * float(self.step_time_median),
            "energy_j": {term: float(value / joule) for term, value in self.energy.items()},
        }
        for name in ("score", "game_time", "wall_time", "step_time_median", "energy"):
            del content[name]
        if self.twin_action_agreement is None:
            del content["twin_action_agreement"], content["twin_max_abs_difference"]
        return content


def play_game(
    pong: Pong,
    agent: BrianAgent,
    seed: int,
    *,
    twin: TwinAgent | None = None,
    worst_case_bias: bool = False,
    recorder: FrameRecorder | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> GameRecord:
    """Play one game from its start.

    Parameters
    ----------
    pong : Pong
    agent : BrianAgent
    seed : int
    twin : TwinAgent, optional
        Sees the same frames; its actions are compared, not played.
    worst_case_bias : bool
        Charge every bias at the device's largest voltage.
    recorder : FrameRecorder, optional
        Given z and h of every frame.
    on_step : callable, optional
        Called after every decision with the number of decisions and the score so far.
    """
    agent.reset(seed)
    if twin is not None:
        twin.reset(seed)
    observation = pong.reset(seed)
    score, decisions, equal, difference, done = 0.0, 0, 0, 0.0, False
    started = time.perf_counter()
    while not done:
        action = agent.step(observation)
        if recorder is not None:
            recorder.record(agent.network.z, agent.h)
        if twin is not None:
            equal += twin.step(observation) == action
            difference = max(difference, float(np.abs(twin.h - agent.h).max()))
        observation, reward, done = pong.step(action)
        score += reward
        decisions += 1
        if on_step is not None:
            on_step(decisions, score)
    return GameRecord(
        seed=seed,
        score=score,
        decisions=decisions,
        frames=pong.frames,
        game_time=pong.frames / FRAME_RATE_HZ * second,
        wall_time=(time.perf_counter() - started) * second,
        step_time_median=float(np.median(agent.step_seconds)) * second,
        energy=agent.network.energy(worst_case=worst_case_bias),
        twin_action_agreement=equal / decisions if twin is not None else None,
        twin_max_abs_difference=difference if twin is not None else None,
    )


def play_twin(pong: Pong, agent: Agent, seed: int) -> tuple[float, int]:
    """Play one game with any agent; return the score and the number of decisions."""
    agent.reset(seed)
    observation = pong.reset(seed)
    score, decisions, done = 0.0, 0, False
    while not done:
        observation, reward, done = pong.step(agent.step(observation))
        score += reward
        decisions += 1
    return score, decisions
