"""The agent that plays from frames: the Brian2 network of memristors."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from brian2.units import Quantity
from numpy.typing import NDArray

from mstpn.bridge.conversion import layer_parameters
from mstpn.bridge.pong import N_ACTIONS
from mstpn.network.brian import MSTPNNetwork
from mstpn.network.front_end import FrontEnd
from mstpn.network.spikes import SpikingMSTPNNetwork
from mstpn.network.twin.checkpoint import Checkpoint, CheckpointError
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import Nonidealities
from mstpn.synapses.spike_times import SpikeCode
from mstpn.synapses.support.state import check_state, part

__all__ = ["BrianAgent", "actions"]


def actions(h: NDArray[np.float64], checkpoint: Checkpoint) -> NDArray[np.int64]:
    """Greedy actions on outputs h of a layer, (T, N)."""
    weight, bias = (checkpoint.tensors[f"action_head.{name}"] for name in ("weight", "bias"))
    return np.argmax(h @ weight.T.astype(np.float64) + bias, axis=1)


class BrianAgent:
    """Conv front-end in NumPy, m-STPN layer of memristors in Brian2, greedy action head.

    All arithmetic is in float64. Call `reset` before each game.

    Parameters
    ----------
    checkpoint : Checkpoint
    device : Memristor
    step_duration : Quantity, second
        Simulated time of one decision.
    nonidealities : Nonidealities, optional
        Of the memristors; ideal ones if absent.
    spike_code : SpikeCode, optional
        Inputs and outputs of the layer are spikes; graded values if absent.

    Attributes
    ----------
    network : MSTPNNetwork
    spike_code : SpikeCode or None
    h : ndarray, (N,)
        Output of the last step.
    step_seconds : list of float
        Wall time of each Brian2 step alone.

    Raises
    ------
    CheckpointError
        If the checkpoint does not fit the device or the game.
    ValueError
        If spikes are to meet devices that are not ideal.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: Memristor,
        step_duration: Quantity,
        nonidealities: Nonidealities | None = None,
        spike_code: SpikeCode | None = None,
    ) -> None:
        if checkpoint.config.n_actions != N_ACTIONS:
            raise CheckpointError(
                f"n_actions must be {N_ACTIONS} for Pong, got {checkpoint.config.n_actions}"
            )
        self.spike_code = spike_code
        layer = layer_parameters(checkpoint, device, step_duration), device, step_duration
        self.network: MSTPNNetwork
        if spike_code is None:
            self.network = MSTPNNetwork(*layer, nonidealities)
        elif nonidealities:
            raise ValueError("spikes need ideal devices, got nonidealities")
        else:
            self.network = SpikingMSTPNNetwork(*layer, spike_code)
        self._front_end = FrontEnd(checkpoint.tensors)
        self._head_weight, self._head_bias = (
            checkpoint.tensors[f"action_head.{name}"].astype(np.float64)
            for name in ("weight", "bias")
        )
        self.reset()

    def prepare(self) -> None:
        """Compile the network now instead of at the first step."""
        self.network.prepare()

    def reset(self, seed: int = 0) -> None:
        """F = 0, h = 0, no energy spent, no step timed; the seed is that of the pulses' noise."""
        self.network.reset(seed % 2**31)
        self.h = np.zeros(self.network.parameters.n_hidden)
        self.step_seconds: list[float] = []

    def step(self, observation: NDArray[np.uint8]) -> int:
        """Decide on one frame of (84, 84)."""
        features = self._front_end(observation)
        started = time.perf_counter()
        self.h = self.network.step(features)
        self.step_seconds.append(time.perf_counter() - started)
        return int(np.argmax(self._head_weight @ self.h + self._head_bias))

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
