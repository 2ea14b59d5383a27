"""Agents that play from frames: the Brian2 network of memristors and its torch twin."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from brian2.units import Quantity
from numpy.typing import NDArray

from mstpn.bridge.conversion import layer_parameters
from mstpn.bridge.pong import N_ACTIONS
from mstpn.network.brian import MSTPNNetwork
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.checkpoint import Checkpoint, CheckpointError
from mstpn.network.twin.layer import CycleNoise, State
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import Nonidealities
from mstpn.synapses.support.state import check_state, part

__all__ = ["BrianAgent", "TwinAgent"]


class BrianAgent:
    """Conv front-end in torch, m-STPN layer of memristors in Brian2, greedy action head.

    All arithmetic is in float64. Call `reset` before each game.

    Parameters
    ----------
    checkpoint : Checkpoint
    device : Memristor
    step_duration : Quantity, second
        Simulated time of one decision.
    nonidealities : Nonidealities, optional
        Of the memristors; ideal ones if absent.

    Attributes
    ----------
    network : MSTPNNetwork
    h : ndarray, (N,)
        Output of the last step.
    step_seconds : list of float
        Wall time of each Brian2 step alone.

    Raises
    ------
    CheckpointError
        If the checkpoint does not fit the device or the game.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: Memristor,
        step_duration: Quantity,
        nonidealities: Nonidealities | None = None,
    ) -> None:
        if checkpoint.config.n_actions != N_ACTIONS:
            raise CheckpointError(
                f"n_actions must be {N_ACTIONS} for Pong, got {checkpoint.config.n_actions}"
            )
        self.network = MSTPNNetwork(
            layer_parameters(checkpoint, device, step_duration),
            device,
            step_duration,
            nonidealities,
        )
        twin = checkpoint.twin(torch.float64)
        self._front_end = twin.front_end
        self._head = twin.action_head
        self.reset()

    def prepare(self) -> None:
        """Compile the network now instead of at the first step."""
        self.network.prepare()

    def reset(self, seed: int = 0) -> None:
        """F = 0, h = 0, no energy spent, no step timed; the seed is that of the pulses' noise."""
        self.network.reset(seed % 2**31)
        self.h = np.zeros(self.network.parameters.n_hidden)
        self.step_seconds: list[float] = []

    @torch.inference_mode()
    def step(self, observation: NDArray[np.uint8]) -> int:
        """Decide on one frame of (84, 84)."""
        features = self._front_end(torch.from_numpy(observation)[None])[0].numpy()
        started = time.perf_counter()
        self.h = self.network.step(features)
        self.step_seconds.append(time.perf_counter() - started)
        return int(self._head(torch.from_numpy(self.h)).argmax())

    def state(self) -> dict[str, NDArray[Any]]:
        """All that the next decision depends on, the energies and `step_seconds`, as copies."""
        network = {f"network.{name}": value for name, value in self.network.state().items()}
        return network | {"step_seconds": np.array(self.step_seconds)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a state of such an agent.

        Raises
        ------
        StateError
            If it does not fit; nothing is changed then.
        """
        seconds = state.get("step_seconds", np.empty(0))
        check_state(
            {name: value for name, value in state.items() if not name.startswith("network.")},
            {"step_seconds": np.empty(seconds.size)},
        )
        self.network.restore(part(state, "network"))
        self.h = self.network.neurons.variables["h"].get_value().copy()
        self.step_seconds = seconds.tolist()


class TwinAgent:
    """The torch twin, eager and in float64, greedy.

    Parameters
    ----------
    checkpoint : Checkpoint
    device : Memristor, optional
        Needed for devices that are not ideal.
    nonidealities : Nonidealities, optional
        Those of `BrianAgent`: the same seed gives the same devices.

    Attributes
    ----------
    h : ndarray, (N,)
        Output of the last step.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: Memristor | None = None,
        nonidealities: Nonidealities | None = None,
    ) -> None:
        self._net = checkpoint.twin(torch.float64)
        self._std = 0.0
        if nonidealities:
            if device is None:
                raise ValueError("device must be given with nonidealities")
            shape = tuple(reversed(self._net.layer.weight.shape))
            self._net.layer.put_on(nonidealities.draw(shape, device, STEP_DURATION))
            self._std = nonidealities.delta_f_std
        self.reset()

    def reset(self, seed: int = 0) -> None:
        """F = 0 and h = 0; the seed is that of the pulses' noise."""
        self._state = self._net.layer.initial_state(1)
        self._noise = CycleNoise(self._std, torch.tensor([seed % 2**31]), torch.tensor(0))
        self.h = self._state.h[0].numpy()

    @torch.inference_mode()
    def step(self, observation: NDArray[np.uint8]) -> int:
        """Decide on one frame of (84, 84)."""
        x = self._net.front_end(torch.from_numpy(observation)[None])
        keep = torch.ones(1, 1, dtype=x.dtype)
        noise = self._noise if self._std else None
        h, self._state = self._net.layer(x[None], self._state, keep, noise=noise)
        self._noise = self._noise._replace(step=self._noise.step + 1)
        self.h = h[0, 0].numpy()
        return int(self._net.action_head(h[0, 0]).argmax())

    def state(self) -> dict[str, NDArray[Any]]:
        """All that the next decision depends on, as copies."""
        h, trace = (x.numpy().copy() for x in self._state)
        return {"h": h, "trace": trace, "step": self._noise.step.numpy().copy()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a state of such an agent, in the game of the same seed.

        Raises
        ------
        StateError
            If it does not fit; nothing is changed then.
        """
        check_state(state, self.state())
        self._state = State(torch.tensor(state["h"]), torch.tensor(state["trace"]))
        self._noise = self._noise._replace(step=torch.tensor(state["step"]))
        self.h = self._state.h[0].numpy()
