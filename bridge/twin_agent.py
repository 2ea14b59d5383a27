"""The torch twin as an agent that plays from frames, to check the Brian2 network with."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mstpn.bridge.conversion import within_limits
from mstpn.network.crossbar import devices_of
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.checkpoint import Checkpoint
from mstpn.network.twin.layer import CycleNoise, State
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import Nonidealities
from mstpn.synapses.support.state import check_state

__all__ = ["TwinAgent"]


class TwinAgent:
    """The torch twin, eager and in float64, greedy.

    Parameters
    ----------
    checkpoint : Checkpoint
    device : Memristor, optional
        Whose limits the updates keep, the checkpoint's own if absent; needed for devices that are
        not ideal.
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
        if device is not None:
            checkpoint = within_limits(checkpoint, device)
        self._net = checkpoint.twin(torch.float64)
        self._std, self._is_noisy = 0.0, False
        if nonidealities:
            if device is None:
                raise ValueError("device must be given with nonidealities")
            weight, decay = (
                checkpoint.tensors[f"layer.{name}"].astype(np.float64)
                for name in ("weight", "decay")
            )
            deviations = devices_of(nonidealities, weight, decay, device, STEP_DURATION)
            self._net.layer.put_on(deviations, nonidealities.periphery(device))
            self._std = nonidealities.delta_f_std
            self._is_noisy = bool(self._std or nonidealities.w_noise)
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
        noise = self._noise if self._is_noisy else None
        h, self._state = self._net.layer(x[None], self._state, keep, noise=noise)
        self._noise = self._noise._replace(step=self._noise.step + 1)
        self.h = h[0, 0].numpy()
        return int(self._net.action_head(h[0, 0]).argmax())

    def state(self) -> dict[str, NDArray[Any]]:
        """All that the next decision depends on, as copies."""
        h, short_term = (x.numpy().copy() for x in self._state)
        return {"h": h, "trace": short_term, "step": self._noise.step.numpy().copy()}

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
