"""One game, frame by frame, and its record."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from brian2.units import Quantity, joule, second
from numpy.typing import NDArray

from mstpn.bridge.agents import BrianAgent, TwinAgent
from mstpn.bridge.pong import Pong
from mstpn.network.frames import FRAME_RATE_HZ
from mstpn.network.saturation import Saturation
from mstpn.network.step_time import StepTime
from mstpn.synapses.support.state import StateError, check_state, part

__all__ = [
    "FrameRecorder",
    "Game",
    "GameRecord",
    "play_game",
]


class FrameRecorder(Protocol):
    """Whatever keeps the frames of a game."""

    def record(self, z: NDArray[np.float64], h: NDArray[np.float64]) -> None:
        """Take the presynaptic vector (M,) and the output (N,) of one frame."""

    def flush(self) -> None:
        """Write what was taken so far."""


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
    saturation : dict of str to float
        Shares as in `mstpn.network.saturation.Saturation.shares`.
    step_time : dict of str to float
        As in `mstpn.network.step_time.StepTime.summary`.
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
    saturation: dict[str, float]
    step_time: dict[str, float]
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

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "GameRecord":
        """The record that `to_json` made this of."""
        return cls(
            seed=content["seed"],
            score=content["return"],
            decisions=content["decisions"],
            frames=content["frames"],
            game_time=content["game_time_s"] * second,
            wall_time=content["wall_time_s"] * second,
            step_time_median=content["step_ms_median"] / 1e3 * second,
            energy={term: value * joule for term, value in content["energy_j"].items()},
            saturation=dict(content["saturation"]),
            step_time=dict(content["step_time"]),
            twin_action_agreement=content.get("twin_action_agreement"),
            twin_max_abs_difference=content.get("twin_max_abs_difference"),
        )


class Game:
    """One game from its start, decision by decision; it can be saved between any two.

    Parameters
    ----------
    pong : Pong
    agent : BrianAgent
    seed : int
    twin : TwinAgent, optional
        Sees the same frames; its actions are compared, not played.
    recorder : FrameRecorder, optional
        Given z and h of every frame.

    Attributes
    ----------
    score : float
    decisions : int
    done : bool
    """

    def __init__(
        self,
        pong: Pong,
        agent: BrianAgent,
        seed: int,
        *,
        twin: TwinAgent | None = None,
        recorder: FrameRecorder | None = None,
    ) -> None:
        self.pong, self.agent, self.seed = pong, agent, seed
        self.twin, self.recorder = twin, recorder
        agent.reset(seed)
        if twin is not None:
            twin.reset(seed)
        self._observation = pong.reset(seed)
        self.score, self.decisions, self.done = 0.0, 0, False
        self._equal, self._difference = 0, 0.0
        self._saturation = Saturation(agent.network)
        self._step_time = StepTime(agent.network)
        self._started = time.perf_counter()

    def step(self) -> None:
        """Play one decision."""
        action = self.agent.step(self._observation)
        if self.recorder is not None:
            self.recorder.record(self.agent.network.z, self.agent.h)
        if self.twin is not None:
            self._equal += self.twin.step(self._observation) == action
            difference = float(np.abs(self.twin.h - self.agent.h).max())
            self._difference = max(self._difference, difference)
        self._saturation.observe(self.decisions, self.agent.h)
        self._step_time.observe(self.agent.h)
        self._observation, reward, self.done = self.pong.step(action)
        self.score += reward
        self.decisions += 1

    def record(self, *, worst_case_bias: bool = False) -> GameRecord:
        """What the game was like so far.

        Parameters
        ----------
        worst_case_bias : bool
            Charge every bias at the device's largest voltage.
        """
        twin = self.twin is not None
        return GameRecord(
            seed=self.seed,
            score=self.score,
            decisions=self.decisions,
            frames=self.pong.frames,
            game_time=self.pong.frames / FRAME_RATE_HZ * second,
            wall_time=(time.perf_counter() - self._started) * second,
            step_time_median=float(np.median(self.agent.step_seconds)) * second,
            energy=self.agent.network.energy(worst_case=worst_case_bias),
            saturation=self._saturation.shares(),
            step_time=self._step_time.summary(),
            twin_action_agreement=self._equal / self.decisions if twin else None,
            twin_max_abs_difference=self._difference if twin else None,
        )

    def state(self) -> dict[str, NDArray[Any]]:
        """All that the rest of the game depends on; frames that a recorder holds are flushed."""
        if self.recorder is not None:
            self.recorder.flush()
        parts = {"agent": self.agent} | ({"twin": self.twin} if self.twin is not None else {})
        state = self._tally() | {"actions": np.array(self.pong.actions, dtype=np.int8)}
        for name, owner in parts.items():
            state |= {f"{name}.{key}": value for key, value in owner.state().items()}
        return state

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from the state of a game of the same seed: every bit is as if never stopped.

        Raises
        ------
        StateError
            If it does not fit; the game is not to be used then.
        """
        owned = ("agent.", "twin.")
        own = {name: value for name, value in state.items() if not name.startswith(owned)}
        actions = own.pop("actions", np.empty(0, dtype=np.int8))
        check_state(
            own | {"actions": actions}, self._tally() | {"actions": np.zeros(actions.size, np.int8)}
        )
        if self.twin is not None:
            self.twin.restore(part(state, "twin"))
        self.agent.restore(part(state, "agent"))
        try:
            replayed = self.pong.replay(self.seed, actions.tolist())
        except ValueError as error:
            raise StateError(str(error)) from error
        self._observation, self.score, self.done = replayed
        if not np.array_equal(self._observation, own["observation"]):
            raise StateError("observation differs: the emulator is another one")
        self.decisions = len(actions)
        self._equal, self._difference = int(own["equal"]), float(own["difference"])
        self._saturation.counts[:] = own["saturation"]
        self._step_time.totals[:] = own["step_time"]
        self._started = time.perf_counter() - float(own["wall_second"])

    def _tally(self) -> dict[str, NDArray[Any]]:
        return {
            "observation": self._observation.copy(),
            "equal": np.array(self._equal, dtype=np.int64),
            "difference": np.array(self._difference),
            "saturation": self._saturation.counts.copy(),
            "step_time": self._step_time.totals.copy(),
            "wall_second": np.array(time.perf_counter() - self._started),
        }


def play_game(
    pong: Pong,
    agent: BrianAgent,
    seed: int,
    *,
    twin: TwinAgent | None = None,
    worst_case_bias: bool = False,
    recorder: FrameRecorder | None = None,
    on_step: Callable[[int, float], None] | None = None,
    saved: Mapping[str, NDArray[Any]] | None = None,
    save: Callable[[dict[str, NDArray[Any]]], None] | None = None,
    save_every: int = 200,
) -> GameRecord:
    """Play one game to its end.

    Parameters
    ----------
    pong, agent, seed, twin, recorder
        As for `Game`.
    worst_case_bias : bool
        Charge every bias at the device's largest voltage.
    on_step : callable, optional
        Called after every decision with the number of decisions and the score so far.
    saved : mapping, optional
        State to go on from.
    save : callable, optional
        Given the state after every `save_every` decisions and after the last one.
    save_every : int

    Raises
    ------
    StateError
        If `saved` does not fit.
    """
    game = Game(pong, agent, seed, twin=twin, recorder=recorder)
    if saved:
        game.restore(saved)
    while not game.done:
        game.step()
        if on_step is not None:
            on_step(game.decisions, game.score)
        if save is not None and (game.done or game.decisions % save_every == 0):
            save(game.state())
    return game.record(worst_case_bias=worst_case_bias)
