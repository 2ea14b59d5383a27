"""The m-STPN layer as a Brian2 network of spikes: one per active input and frame.

`SpikingMSTPNNetwork` is `mstpn.network.brian.MSTPNNetwork` whose inputs and outputs travel as
spike times, as `mstpn.synapses.spike_times` has them. It computes what the graded network does for
values that are rounded to the bins of a frame, with the same synapses, pulses and joules.

Schedule, in Brian2's slots. As a frame begins: the times of its spikes (`before_start`) and the
pulses of the last frame (`synapses`, event `driven`). In every bin: spikes (`thresholds`), reads
(`synapses`), charge (`after_synapses`), what a spike's time says (`resets`). In the last: tanh
(`end`). What is digital stays so: normalisation, and the choice of what is sent.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from brian2 import BrianObject, Clock
from brian2.units import Quantity
from numpy.typing import NDArray

from mstpn.network.brian import LayerParameters, MSTPNNetwork
from mstpn.network.normalisation import normalise
from mstpn.network.stepper import Calls
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import Deviations, Nonidealities
from mstpn.synapses.spike_times import SpikeCode, get_receiving, get_sending, get_timed_synapses

__all__ = ["FULL_SCALE", "SpikingMSTPNNetwork", "full_scale_of", "rounding"]

FULL_SCALE = 4.0
"""Of inputs that are not normalised: a power of two above the largest of the shipped agents."""


def full_scale_of(normalisation: str) -> float:
    """Full scale where none is given; an input of a normalised vector is at most 1."""
    return 1.0 if normalisation == "l2" else FULL_SCALE


def rounding(spike_code: SpikeCode) -> Nonidealities:
    """Converters of the inputs that round them to the bins: for a graded network or the twin."""
    return Nonidealities(inp_res=2 * spike_code.bins, inp_bound=spike_code.full_scale)


class SpikingMSTPNNetwork(MSTPNNetwork):
    """An m-STPN layer of memristors in Brian2, one `step` per frame, one spike per active input.

    Parameters
    ----------
    parameters, device, step_duration
        As for `MSTPNNetwork`; the devices are ideal.
    spike_code : SpikeCode

    Attributes
    ----------
    presynaptic, neurons : NeuronGroup
        The first spikes: a `SpikeMonitor` shows when.
    bin_clock : Clock
    """

    def __init__(
        self,
        parameters: LayerParameters,
        device: Memristor,
        step_duration: Quantity,
        spike_code: SpikeCode,
    ) -> None:
        self.spike_code, self._seed = spike_code, 0
        super().__init__(parameters, device, step_duration)

    def _make(self, _deviations: Deviations | None) -> None:
        n_out, n_pre = self.parameters.weight.shape
        coded, device, frames = self.spike_code, self.device, self.clock
        self.bin_clock = Clock(frames.dt / coded.bins, name="bin_clock*")
        clocks = frames, self.bin_clock
        self.presynaptic = get_sending(n_pre, device, *clocks, coded, name="presynaptic*")
        self.neurons = get_receiving(n_out, device, *clocks, coded, name="neurons*")
        self.synapses = get_timed_synapses(
            self.presynaptic, self.neurons, device, coded, limits=self.parameters.limits
        )

    @property
    def _clocks(self) -> tuple[Clock, ...]:
        return self.clock, self.bin_clock

    def _shortcuts(self) -> dict[BrianObject, Calls]:
        return {}

    def _keep_inputs(self) -> None:
        self._advance = self._stepper.step
        self._x = self.presynaptic.variables["x"].get_value()
        self._bin = self.bin_clock.variables

    def _present(self, features: NDArray[np.floating[Any]]) -> None:
        x, n_features = self._x, self._n_features
        x[:n_features] = features
        if self.parameters.feedback:
            x[n_features:] = self._h
        x[:] = normalise(x, self.parameters.normalisation)
        if self.spike_code.times != "own":
            self.spike_code.retime(x, self._seed, int(self._timestep[0]))

    def reset(self, noise_key: int = 0) -> None:
        """Back to the state before the first step; the key is that of times that are shuffled."""
        super().reset(noise_key)
        self._seed = noise_key

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """As `MSTPNNetwork.restore`; a game's seed is that of its last `reset`."""
        super().restore(state)
        timestep, t, dt = (self._bin[name].get_value() for name in ("timestep", "t", "dt"))
        timestep[0] = self._timestep[0] * self.spike_code.bins
        t[0] = timestep[0] * dt[0]
