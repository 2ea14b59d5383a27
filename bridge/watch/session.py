"""A game that may be changed between any two decisions, and what there is to see of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from brian2.units import volt
from numpy.typing import NDArray

from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.play import Frame, Game
from mstpn.bridge.pong import Pong
from mstpn.bridge.watch.settings import AGENT, GAME, Choices, Settings
from mstpn.network.frames import STEP_DURATION
from mstpn.network.step_time import StepTime
from mstpn.synapses.nonidealities import Nonidealities
from mstpn.synapses.st_hebb import apply_bias
from mstpn.synapses.support.brian_target import Target, compiled

__all__ = ["FIELDS", "Change", "Session"]

FIELDS = ("F", "dF", "W", "energy")
"""What of the synapses there is to see."""


@dataclass(frozen=True)
class Change:
    """What was changed, and when.

    Parameters
    ----------
    seed, decision : int
        Game, and the decisions that it had made before.
    changes : dict
        By the names of `Settings`.
    score : float
        Of that game then.
    error : str
        Why nothing was changed, if so.
    """

    seed: int
    decision: int
    changes: dict[str, Any]
    score: float
    error: str = ""


class Session:
    """Games of an agent one after the other, decision by decision.

    Nothing here knows of time, threads or pages: a script that makes the same calls gets the same
    bits.

    Parameters
    ----------
    choices : Choices
    settings : Settings
        At the start.
    nonidealities : Nonidealities, optional
        What else is not ideal about the devices, beside those two of the settings.
    target : {"auto", "cython", "numpy"}
        As for `mstpn.synapses.support.brian_target.use_target`.

    Attributes
    ----------
    settings : Settings
    agent : BrianAgent
    game : Game
    frame : Frame or None
        The last decision of the game.
    updates : ndarray, (M, N)
        What the pulses of the last decision added to F.
    fastest : int
        Number of the synapse with the largest |Gamma| of its own.
    write_share : float
        Share of the last step that its writes and reads need, row by row.
    log : list of Change
    n_games : int
        Begun so far.
    """

    def __init__(
        self,
        choices: Choices,
        settings: Settings,
        *,
        nonidealities: Nonidealities | None = None,
        target: Target = "auto",
    ) -> None:
        self.choices = choices
        self.log: list[Change] = []
        self.n_games = 0
        self._seen: dict[str, Any] = {}
        self._nonidealities = nonidealities or Nonidealities()
        self._target: Target = target
        self.settings = choices.changed(settings, settings.to_json())
        self.agent = self._agent(self.settings)
        self._pong = self._emulator(self.settings)
        self.frame: Frame | None = None
        self._begin()

    def change(self, **changes: Any) -> Change:
        """Change settings, all of them or nothing.

        `hold` and `plastic` are done to the network at once, as `MSTPNNetwork.hold` and
        `st_hebb.apply_bias` do it. Any other begins another game, also if it has its value
        already, under the voltage and plasticity that are set.

        Parameters
        ----------
        **changes
            By the names of `Settings`.

        Returns
        -------
        Change
            As in the `log`.

        Raises
        ------
        ValueError
            If one is refused; the game is as before then.
        """
        before = self.game
        wanted = self.choices.changed(self.settings, changes)
        other = [k for k in AGENT if getattr(wanted, k) != getattr(self.settings, k)]
        agent = self._agent(wanted) if other else self.agent
        done = Change(before.seed, before.decisions, dict(changes), before.score)
        fresh = not changes.keys().isdisjoint(GAME)
        pong = self._emulator(wanted) if fresh else self._pong
        previous, self.settings, self.agent = self.settings, wanted, agent
        if fresh:
            self._pong.close()
            self._pong = pong
            self._begin()
        else:
            self._put_on(previous)
        self.log.append(done)
        return done

    def try_change(self, changes: Mapping[str, Any]) -> Change:
        """As `change`; what is refused is in the log too, with the reason."""
        try:
            return self.change(**changes)
        except ValueError as error:
            game = self.game
            refused = Change(game.seed, game.decisions, dict(changes), game.score, str(error))
            self.log.append(refused)
            return refused

    def step(self) -> Frame:
        """Make one decision.

        Raises
        ------
        ValueError
            If the game is over.
        """
        if self.game.done:
            raise ValueError("the game is over: change its seed for another")
        before = self._all_updates()
        frame = self.frame = next(self._frames)
        self.updates = self._all_updates() - before
        time_before = self._step_time.totals[3]
        self._step_time.observe(frame.z, frame.h)
        spent = self._step_time.totals[3] - time_before
        self.write_share = float(spent) / float(STEP_DURATION)
        self._seen.clear()
        return frame

    @property
    def screen(self) -> NDArray[np.uint8]:
        """The emulator's picture, (210, 160, 3)."""
        return self._pong.screen

    def energy(self) -> dict[str, float]:
        """Joule so far by term, those of `MSTPNNetwork.energy`."""
        if "energy by term" not in self._seen:
            spent = self.agent.network.energy()
            self._seen["energy by term"] = {term: float(value) for term, value in spent.items()}
        return dict(self._seen["energy by term"])

    def field(self, name: str) -> NDArray[np.float64]:
        """One of `FIELDS` of every synapse after the last decision, (M, N).

        Raises
        ------
        ValueError
            If there is no such field.
        """
        if name not in FIELDS:
            raise ValueError(f"field must be one of {', '.join(FIELDS)}, got {name!r:.80}")
        if name not in self._seen:
            self._seen[name] = self._field(name)
        return np.asarray(self._seen[name])

    def close(self) -> None:
        """Release the emulator."""
        self._pong.close()

    def _field(self, name: str) -> NDArray[np.float64]:
        network = self.agent.network
        if name == "dF":
            return self.updates
        if name == "W":
            return network.of_synapses("W")
        if name == "F":
            return network.short_term.reshape(self._shape)
        synapses = network.synapses
        spent = np.asarray(synapses.E_pulse[:] + synapses.E_bias[:] + synapses.E_read[:])
        return spent.reshape(self._shape)

    def _agent(self, settings: Settings) -> BrianAgent:
        spread = replace(
            self._nonidealities,
            delta_f_std=settings.delta_f_std,
            corrupt_devices_prob=settings.corrupt_devices_prob,
        )
        checkpoint = self.choices.checkpoints[settings.checkpoint]
        device = self.choices.devices[settings.device]
        return compiled(self._target, lambda: BrianAgent(checkpoint, device, STEP_DURATION, spread))

    def _emulator(self, settings: Settings) -> Pong:
        return Pong(sticky=settings.sticky, flicker=settings.flicker)

    def _begin(self) -> None:
        """Another game; under the agent's own voltages and Gamma until the settings are put on."""
        self.game = Game(self._pong, self.agent, self.settings.seed)
        self._frames = self.game.frames()
        self.n_games += 1
        self.frame = None
        network = self.agent.network
        self._shape = network.parameters.weight.shape[::-1]
        self._own = {name: network.of_synapses(name) for name in ("V_bias", "Gamma")}
        self.fastest = int(np.abs(self._own["Gamma"]).argmax())
        self.updates = np.zeros(self._shape)
        self.write_share = 0.0
        self._step_time: StepTime = StepTime.of(network)
        self._seen.clear()
        self._put_on(replace(self.settings, hold=None, plastic=True))

    def _put_on(self, before: Settings) -> None:
        """Voltage and plasticity of the settings, where they were others."""
        now, network = self.settings, self.agent.network
        if now.hold != before.hold:
            network.hold((self._own["V_bias"].ravel() if now.hold is None else now.hold) * volt)
        if now.plastic != before.plastic:
            gamma = self._own["Gamma"] if now.plastic else 0.0
            apply_bias(network.synapses, network.device, gamma=gamma)

    def _all_updates(self) -> NDArray[np.float64]:
        """All that pulses have added to F of each synapse since a setting was put on."""
        network = self.agent.network
        slow = "F_slow_in" in network.synapses.variables
        total = network.of_synapses("F_in")
        return total + network.of_synapses("F_slow_in") if slow else total
