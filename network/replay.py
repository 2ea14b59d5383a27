"""Open-loop replay of recorded features as one C++ program, for sweeps of device constants.

The network is `MSTPNNetwork` itself, built for Brian2's C++ standalone device. What its
`step` does in NumPy between two steps of Brian2, the program does with summed variables
of Brian2: present the next features, feed h back, normalise, sum the inputs. The constants of
the device are variables of the program, so it is compiled once and run with any of them.

What is held fixed from device to device is what has been programmed: W, Gamma and the
bias voltages, those of the device that the replay is built with. Constants of the decay
therefore move Lambda; constants that only energies depend on leave h as it is.
"""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from brian2 import (
    NeuronGroup,
    StateMonitor,
    Synapses,
    TimedArray,
    get_device,
    set_device,
)
from brian2.devices.device import reset_device
from brian2.units import Quantity
from numpy.typing import NDArray

from mstpn.network.brian import LayerParameters, MSTPNNetwork
from mstpn.network.normalisation import L2, NORM_FLOOR
from mstpn.synapses import law, st_hebb
from mstpn.synapses.memristor import Memristor

__all__ = ["Replay", "Replayed"]

FEEDBACK = "z_post = h_pre : 1 (summed)"
SUMS = """
    z_square_post = z_pre**2 : 1 (summed)
    z_total_post = z_pre : 1 (summed)
"""
NORMALISE = {"none": "", "l2": f"z_pre = {law.put(L2, z='z_pre', z_square='z_square_post')}"}
TOTAL = "z_total_post = z_total_pre : 1 (summed)"


@dataclass(frozen=True)
class Replayed:
    """One run of a replay.

    Parameters
    ----------
    h : ndarray, (T, N)
        Output of every step.
    energy : dict of str to Quantity, joule
        `pulse`, `bias`, `read`, as `MSTPNNetwork.energy` has them after T steps.
    worst_case_bias : Quantity, joule
        The bias at the device's largest voltage on every synapse.
    """

    h: NDArray[np.float64]
    energy: dict[str, Quantity]
    worst_case_bias: Quantity


class Replay:
    """T steps of an m-STPN layer on given features, compiled once, run with many devices.

    Use it as a context: Brian2's device is C++ standalone inside, so nothing else of Brian2
    can be built there.

    Parameters
    ----------
    parameters : LayerParameters
    device : Memristor
        Its bias voltages are programmed for Lambda.
    step_duration : Quantity, second
    features : ndarray, (T, n_features)
    directory : Path
        For sources and program, and the results of the last run.

    Raises
    ------
    ValueError
        If the features have another shape or are not finite, or a parameter is outside the
        device's range.
    """

    def __init__(
        self,
        parameters: LayerParameters,
        device: Memristor,
        step_duration: Quantity,
        features: NDArray[np.floating[Any]],
        directory: Path,
    ) -> None:
        if features.ndim != 2 or features.shape[1] != parameters.n_features or not len(features):
            raise ValueError(
                f"features must have shape (T, {parameters.n_features}) with T > 0, "
                f"got {features.shape}"
            )
        if not np.isfinite(features).all():
            raise ValueError("features must be finite, got NaN or infinity")
        self.parameters, self.device, self.step_duration = parameters, device, step_duration
        self.features, self.directory = features, directory

    def __enter__(self) -> "Replay":
        set_device("cpp_standalone", build_on_run=False)
        try:
            self._build()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        get_device().reinit()
        reset_device()

    def _build(self) -> None:
        network = MSTPNNetwork(self.parameters, self.device, self.step_duration, sweepable=True)
        self._network = network
        self._h = StateMonitor(
            network.neurons, "h", record=True, when="end", clock=network.clock, name="output*"
        )
        network.net.add(self._h, *_feed(network))
        features = TimedArray(self.features, dt=self.step_duration, name="features")
        network.net.run(
            len(self.features) * self.step_duration,
            namespace={"features": features, "norm_floor": NORM_FLOOR},
        )
        st_hebb.apply_bias(network.synapses, self.device)  # settles all energies
        get_device().build(directory=str(self.directory), run=False)

    def check(self, device: Memristor) -> None:
        """Raise ValueError if what is programmed is outside the range of another device."""
        device.decay(self.device.bias_voltage(self.parameters.decay, self.step_duration))
        st_hebb.check_weight(self.parameters.weight, device)

    def run(self, device: Memristor | None = None) -> Replayed:
        """Replay on a device, the one it was built with if none is given.

        Parameters
        ----------
        device : Memristor, optional

        Raises
        ------
        ValueError
            If what is programmed is outside this device's range.
        """
        device = device or self.device
        self.check(device)
        get_device().run(run_args=self._run_args(device), with_output=False)
        synapses = self._network.synapses
        energy = {
            term: np.sum(getattr(synapses, name)[:])
            for term, name in (("pulse", "E_pulse"), ("bias", "E_settled"), ("read", "E_read"))
        }
        worst_case = device.bias_voltage_max**2 * np.sum(synapses.G_settled[:])
        return Replayed(np.array(self._h.h).T, energy, worst_case)

    def _run_args(self, device: Memristor) -> dict[Any, Any]:
        limits = self.parameters.limits
        built, wanted = (st_hebb.constants(d, limits) for d in (self.device, device))
        changed = {n: v for n, v in wanted.items() if float(v) != float(built[n])}
        return {getattr(self._network.constants, name): v for name, v in changed.items()}


def _feed(network: MSTPNNetwork) -> list[Any]:
    """What `MSTPNNetwork.step` does between two steps, as objects of Brian2."""
    z, clock, n = network.presynaptic, network.clock, network.parameters.n_features
    digital = NeuronGroup(1, "z_total : 1\nz_square : 1", clock=clock, name="digital*")
    gather, spread = (
        Synapses(source, target, equations, clock=clock, name=name)
        for source, target, equations, name in (
            (z, digital, SUMS, "gather*"),
            (digital, network.neurons, TOTAL, "spread*"),
        )
    )
    gather.connect()
    spread.connect()
    when: dict[str, Any] = {"when": "before_start", "clock": clock}
    z.run_regularly("z_last = z", order=-6, **when)
    z[:n].run_regularly("z = features(t, i)", order=-5, **when)
    if code := NORMALISE[network.parameters.normalisation]:
        gather.run_regularly(code, order=-3, **when)
    summed = [
        (gather, "z_square_post", -4),
        (gather, "z_total_post", -2),
        (spread, "z_total_post", -1),
    ]
    if network.parameters.feedback:
        feedback = Synapses(network.neurons, z[n:], FEEDBACK, clock=clock, name="feedback*")
        feedback.connect(j="i")
        summed.append((feedback, "z_post", -5))
    for synapses, name, order in summed:
        synapses.summed_updaters[name].when = "before_start"
        synapses.summed_updaters[name].order = order
    return [digital, *dict.fromkeys(synapses for synapses, _, _ in summed)]
