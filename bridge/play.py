"""One game, frame by frame, and its record."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from brian2.units import Quantity, joule, second
from numpy.typing import NDArray

from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.pong import Pong
from mstpn.network.frames import FRAME_RATE_HZ
from mstpn.network.saturation import Saturation
from mstpn.network.step_time import StepTime
from mstpn.synapses.support.state import StateError, check_state, part

if TYPE_CHECKING:
    from mstpn.bridge.twin_agent import TwinAgent

__all__ = ["Frame", "Game", "GameRecord", "play_game"]


class Frame(NamedTuple):
    """One decision of a game: what was seen, what the network made of it, what came of it.

    Parameters
    ----------
    observation : ndarray of uint8, (84, 84)
        What the agent saw.
    z : ndarray, (M,)
        Presynaptic vector.
    h : ndarray, (N,)
        Output.
    action : int
    decisions : int
        Of the game so far, this one included.
    score : float
        After it.
    done : bool
        Whether the game is over.
    """

    observation: NDArray[np.uint8]
    z: NDArray[np.float64]
    h: NDArray[np.float64]
    action: int
    decisions: int
    score: float
    done: bool


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
    worst_case_bias : Quantity, joule
        Bias energy with the device's largest voltage charged on every synapse.
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
    worst_case_bias: Quantity
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
            "worst_case_bias_j": float(self.worst_case_bias / joule),
        }
        quantities = ("game_time", "wall_time", "step_time_median", "energy", "worst_case_bias")
        for name in ("score", *quantities):
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
            worst_case_bias=content["worst_case_bias_j"] * joule,
            saturation=dict(content["saturation"]),
            step_time=dict(content["step_time"]),
            twin_action_agreement=content.get("twin_action_agreement"),
            twin_max_abs_difference=content.get("twin_max_abs_difference"),
        )


class Game:
    """One game from its start, frame by frame; it can be saved between any two.

    Parameters
    ----------
    pong : Pong
    agent : BrianAgent
    seed : int
    twin : TwinAgent, optional
        Sees the same frames; its actions are compared, not played.

    Attributes
    ----------
    score : float
    decisions : int
    done : bool
    """

    def __init__(
        self, pong: Pong, agent: BrianAgent, seed: int, *, twin: "TwinAgent | None" = None
    ) -> None:
        self.pong, self.agent, self.seed, self.twin = pong, agent, seed, twin
        agent.reset(seed)
        if twin is not None:
            twin.reset(seed)
        self._observation = pong.reset(seed)
        self.score, self.decisions, self.done = 0.0, 0, False
        self._start_counting()
        self._equal, self._difference = np.zeros((), np.int64), np.zeros(())
        self._started = time.perf_counter()

    def _start_counting(self) -> None:
        self._saturation = Saturation(self.agent.network)
        self._step_time = StepTime.of(self.agent.network)

    def frames(self) -> Iterator[Frame]:
        """Play on to the end, one decision after the other."""
        while not self.done:
            frame = self._decide()
            self._count(frame)
            yield frame

    def _decide(self) -> Frame:
        seen = self._observation
        action = self.agent.step(seen)
        self._observation, reward, self.done = self.pong.step(action)
        self.score += reward
        self.decisions += 1
        z = self.agent.network.z.copy()
        return Frame(seen, z, self.agent.h, action, self.decisions, self.score, self.done)

    def _count(self, frame: Frame) -> None:
        self._saturation.observe(frame.z, frame.h)
        self._step_time.observe(frame.z, frame.h)
        if self.twin is not None:
            self._equal += self.twin.step(frame.observation) == frame.action
            np.maximum(self._difference, np.abs(self.twin.h - frame.h).max(), self._difference)

    def record(self, *, worst_case_bias: bool = False) -> GameRecord:
        """What the game was like so far.

        Parameters
        ----------
        worst_case_bias : bool
            Charge every bias at the device's largest voltage.
        """
        twin, worst = self.twin is not None, self.agent.network.energy(worst_case=True)
        return GameRecord(
            seed=self.seed,
            score=self.score,
            decisions=self.decisions,
            frames=self.pong.frames,
            game_time=self.pong.frames / FRAME_RATE_HZ * second,
            wall_time=(time.perf_counter() - self._started) * second,
            step_time_median=float(np.median(self.agent.step_seconds)) * second,
            energy=worst if worst_case_bias else self.agent.network.energy(),
            worst_case_bias=worst["bias"],
            saturation=self._saturation.shares(),
            step_time=self._step_time.summary(),
            twin_action_agreement=float(self._equal / self.decisions) if twin else None,
            twin_max_abs_difference=float(self._difference) if twin else None,
        )

    def state(self) -> dict[str, NDArray[Any]]:
        """All that the rest of the game depends on."""
        state = self._own() | {"actions": np.array(self.pong.actions, dtype=np.int8)}
        for name, owner in (("agent", self.agent), ("twin", self.twin)):
            if owner is not None:
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
        actions = own.get("actions", np.empty(0, dtype=np.int8))
        check_state(own, self._own() | {"actions": np.zeros(actions.size, np.int8)})
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
        self._start_counting()
        for name, counted in self._counted().items():
            counted[...] = own[name]
        self._started = time.perf_counter() - float(own["wall_second"])

    def _counted(self) -> dict[str, NDArray[Any]]:
        return {
            "equal": self._equal,
            "difference": self._difference,
            "saturation": self._saturation.counts,
            "step_time": self._step_time.totals,
        }

    def _own(self) -> dict[str, NDArray[Any]]:
        return {name: counted.copy() for name, counted in self._counted().items()} | {
            "observation": self._observation.copy(),
            "wall_second": np.array(time.perf_counter() - self._started),
        }


def play_game(pong: Pong, agent: BrianAgent, seed: int) -> GameRecord:
    """Play one game to its end.

    Parameters
    ----------
    pong, agent, seed
        As for `Game`.
    """
    game = Game(pong, agent, seed)
    for _ in game.frames():
        pass
    return game.record()
