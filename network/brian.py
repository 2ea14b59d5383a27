"""The m-STPN layer as a Brian2 network that is stepped frame by frame.

`MSTPNNetwork` holds presynaptic units [features; h of the last step], the ST-Hebb
synapses and the tanh units. What the paper leaves digital stays in NumPy: normalisation
of the presynaptic vector, removal of the offset conductance's current, tanh's input bias.

Schedule of one step, in Brian2's slots: events (`thresholds`), powers of h and z
(`before_synapses`), Hebbian pulses of the last step and then reads (`synapses`), tanh
(`after_synapses`). Pulses come before reads, so the network equals the recursion exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import BrianObject, Clock, Equations, Network, NeuronGroup, get_device
from brian2.core.variables import ArrayVariable, Variable
from brian2.units import Quantity, volt
from numpy.typing import NDArray

from mstpn.network.crossbar import (
    Reference,
    devices_of,
    held_voltage,
    output_code,
    output_constants,
    output_equations,
)
from mstpn.network.normalisation import check_normalisation, normalise
from mstpn.network.stepper import Calls, Stepper, is_plain
from mstpn.network.wiring import check_bias_lines, check_one_decay_per_line, n_features_of
from mstpn.synapses import st_hebb
from mstpn.synapses.memristor import DECAY_ROUNDING, Memristor
from mstpn.synapses.nonidealities import Deviations, Nonidealities
from mstpn.synapses.periphery import Periphery
from mstpn.synapses.support.state import check_state
from mstpn.synapses.write_limits import WriteLimits

__all__ = ["NEURON", "TANH", "LayerParameters", "MSTPNNetwork"]

NEURON = Equations("""
    I : amp                                             # read current of this step
    z_total : 1                                         # sum of all inputs, known digitally
    b : 1
    h : 1
    h_power = abs(h)**energy_exponent : 1 (constant over dt)
""")

TANH = """
    h = tanh((I - V_read*G_offset*z_total)/(V_read*kappa) + b)
    I = 0*amp
"""
"""Output of a step, from the read current less that of the offset conductance."""


@dataclass(frozen=True)
class LayerParameters:
    """Parameters of one m-STPN layer, dimensionless and per network step.

    Parameters
    ----------
    weight, decay, gamma : ndarray, (N, M)
        W, Lambda, Gamma per synapse; M = features + N, or features alone without feedback.
    bias : ndarray, (N,)
    normalisation : {"none", "l2"}
    limits : WriteLimits, optional
        None for ideal updates.
    feedback : bool
        Whether h of the last step is part of the presynaptic vector.
    bias_lines : str
        Which synapses share one voltage, one of `mstpn.network.wiring.BIAS_LINES`.

    Raises
    ------
    ValueError
        If synapses on one bias line need different Lambda, shapes disagree, a value is not finite,
        a weight is outside the window of the limits, or the normalisation or wiring is unknown.
    """

    weight: NDArray[np.float64]
    decay: NDArray[np.float64]
    gamma: NDArray[np.float64]
    bias: NDArray[np.float64]
    normalisation: str
    limits: WriteLimits | None = None
    feedback: bool = True
    bias_lines: str = "synapse"

    def __post_init__(self) -> None:
        check_normalisation(self.normalisation)
        check_bias_lines(self.bias_lines)
        if self.weight.ndim != 2 or self.n_features <= 0:
            least = "N" if self.feedback else "0"
            raise ValueError(f"weight must be (N, M) with M > {least}, got {self.weight.shape}")
        expected = {"decay": self.weight.shape, "gamma": self.weight.shape}
        expected["bias"] = self.weight.shape[:1]
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {getattr(self, name).shape}")
        for name in ("weight", "decay", "gamma", "bias"):
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"{name} must be finite, got NaN or infinity")
        check_one_decay_per_line(self.bias_lines, self.decay, self.n_features, DECAY_ROUNDING)
        limits = self.limits
        if (
            limits
            and not limits.total_min <= self.weight.min() <= self.weight.max() <= limits.total_max
        ):
            raise ValueError(
                f"weight must lie in the window of the limits, {limits.total_min:.4g} to "
                f"{limits.total_max:.4g}, got {self.weight.min():.4g} to {self.weight.max():.4g}"
            )

    @property
    def n_hidden(self) -> int:
        """Number of units N."""
        return int(self.weight.shape[0])

    @property
    def n_features(self) -> int:
        """Number of features per step."""
        return n_features_of(self.weight.shape, self.feedback)


class MSTPNNetwork:
    """An m-STPN layer of memristors in Brian2, one `step` per frame.

    Parameters
    ----------
    parameters : LayerParameters
    device : Memristor
    step_duration : Quantity, second
        Simulated time of one step, to which the parameters' Lambda refers.
    nonidealities : Nonidealities, optional
        Devices that differ from the ideal one, drawn from its seed. The parameters are what
        is programmed; W and Lambda follow from them and the devices.
    sweepable : bool
        Constants of the device are variables of a group, `constants`, as `Replay` needs.

    Attributes
    ----------
    presynaptic, neurons : NeuronGroup
    synapses : Synapses
        (i, j) is presynaptic unit i onto unit j.
    net : Network
        Add monitors to it before the first step.

    Raises
    ------
    ValueError
        If a weight or Lambda is outside the device's range at this step.
    """

    def __init__(
        self,
        parameters: LayerParameters,
        device: Memristor,
        step_duration: Quantity,
        nonidealities: Nonidealities | None = None,
        *,
        sweepable: bool = False,
    ) -> None:
        self.parameters, self._n_features = parameters, parameters.n_features
        self.device, self._exponent = device, device.energy_exponent
        self.nonidealities = spread = nonidealities or None
        self._periphery = spread.periphery(device) if spread is not None else None
        # here alone (N, M) becomes (M, N), the order of the synapses
        weight, decay, gamma = (
            x.T.ravel() for x in (parameters.weight, parameters.decay, parameters.gamma)
        )
        deviations = None
        if spread is not None:
            deviations = devices_of(
                spread, parameters.weight, parameters.decay, device, step_duration
            )
            deviations = Deviations._make(
                v.ravel() if isinstance(v, np.ndarray) else v for v in deviations
            )
            weight = deviations.weight(weight)
        self.clock = Clock(step_duration, name="frame_clock*")
        self.constants = shared = (
            st_hebb.get_shared_constants(device, parameters.limits) if sweepable else None
        )
        self._make(deviations)
        self.neurons.b = parameters.bias
        if sweepable and (apply := getattr(get_device(), "apply_run_args", None)):
            apply()  # before what depends on them is computed
        line = device.bias_voltage(decay, step_duration)
        if deviations is not None and deviations.sag is not None:
            self.synapses.V_line = line
            line = line - deviations.sag * volt
        st_hebb.apply_bias(self.synapses, device, bias_voltage=line, weight=weight, gamma=gamma)
        self.net = Network(self.presynaptic, self.neurons, self.synapses)
        if shared is not None:
            self.net.add(shared)
        self._prepared = False

    def _make(self, deviations: Deviations | None) -> None:
        """Make units and synapses, with nothing programmed yet."""
        p, device, spread = self.parameters, self.device, self.nonidealities
        periphery, shared = self._periphery, self.constants
        self.presynaptic = st_hebb.get_presynaptic(
            *(p.weight.shape[1], device, self.clock.dt),
            clock=self.clock,
            shared=shared,
            unselected=periphery is not None and periphery.disturb > 0,
        )
        self.neurons = NeuronGroup(
            p.n_hidden,
            NEURON if periphery is None else NEURON + output_equations(periphery),
            method="exact",
            clock=self.clock,
            namespace=st_hebb.constants(device),
            name="neurons*",
        )
        if shared is not None:
            st_hebb.share_constants(self.neurons, shared)
        self.neurons.subexpression_updater.when = "before_synapses"
        output = TANH
        if periphery is not None and spread is not None and deviations is not None:
            output = output_code(periphery)
            self.neurons.namespace.update(output_constants(periphery, p.weight.size))
            self._reference = Reference(spread, deviations, device, *p.weight.T.shape)
        self.neurons.run_regularly(output, when="after_synapses", clock=self.clock)
        self.synapses = st_hebb.get_synapses(
            self.presynaptic,
            self.neurons,
            device,
            limits=p.limits,
            deviations=deviations,
            delta_f_std=spread.delta_f_std if spread is not None else 0.0,
            periphery=periphery,
            shared=shared,
        )

    def hold(self, bias_voltage: Quantity) -> None:
        """Hold all synapses at other bias voltages, a scalar or one per synapse.

        Where lines have a resistance these are the lines' voltages.
        """
        spread = self.nonidealities
        if spread is None or "V_line" not in self.synapses.variables:
            st_hebb.apply_bias(self.synapses, self.device, bias_voltage=bias_voltage)
            return
        self.device.decay(bias_voltage)
        line = np.broadcast_to(np.asarray(bias_voltage / volt).ravel(), len(self.synapses)) * volt
        cells = self.device.conductance(self.of_synapses("W"))
        held = held_voltage(*(line.reshape(cells.shape), cells, self.device, spread.ir_drop_rs))
        with self.synapses.assigning("V_bias", "V_line"):
            self.synapses.V_line, self.synapses.V_bias = line, held.ravel()

    def step(self, features: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Advance one network step.

        `Network.run` costs some 100 ms before its first time step; see `Stepper`.

        Parameters
        ----------
        features : ndarray, (n_features,)

        Returns
        -------
        ndarray, (N,)
            h of this step.

        Raises
        ------
        ValueError
            If the features have another shape or are not finite.
        """
        n_features = self._n_features
        if np.shape(features) != (n_features,):
            raise ValueError(f"features must have shape ({n_features},), got {np.shape(features)}")
        if not np.isfinite(features).all():
            raise ValueError("features must be finite, got NaN or infinity")
        self.prepare()
        self._present(features)
        self._advance()
        return self._h.copy()

    def _present(self, features: NDArray[np.floating[Any]]) -> None:
        """Put the inputs of a step, features and h of the last one, before the synapses."""
        z, n_features = self._z, self._n_features
        self._z_last[:] = z
        z[:n_features] = features
        if self.parameters.feedback:
            z[n_features:] = self._h
        z[:] = normalise(z, self.parameters.normalisation)
        if self._periphery is None:
            self._z_total[:] = z.sum()
        else:
            self._convert(z, self._periphery)

    def _convert(self, z: NDArray[np.float64], periphery: Periphery) -> None:
        """Inputs as they reach the rows, and what the periphery knows and spends of them."""
        z[:] = periphery.presynaptic(z)
        key, step = int(self._read_key[0]), int(self._timestep[0])
        self._z_total[:] = self._reference.z_total(z, key, step)
        self._spent += self._reference.spent(z)

    def _shortcuts(self) -> dict[BrianObject, Calls]:
        """What a step does faster than Brian2 would, and what nobody needs."""
        active = self.presynaptic.thresholder["active"]
        space = self.presynaptic.variables["_activespace"]
        others = (obj for obj in self.net.sorted_objects if obj is not active)
        heard = any(_may_read(obj, space) for obj in others)
        powers: dict[BrianObject, Calls] = {
            self.presynaptic.subexpression_updater: [self._take_powers]
        }
        return powers if heard else powers | {active: []}

    def _take_powers(self) -> None:
        """z_power, where it is not 0: few inputs are driven, and a power takes long."""
        driven = self._driven[: self._driven[-1]]
        self._z_power.fill(0)
        self._z_power[driven] = np.abs(self._z_last[driven]) ** self._exponent

    def prepare(self) -> None:
        """Compile now what the first step would; add no monitors after this."""
        if not self._prepared:
            self._prepare()

    def _prepare(self) -> None:
        """Compile, and keep the arrays that a step touches."""
        for obj in self.net.sorted_objects:
            if obj.active and obj.clock not in self._clocks:
                raise ValueError(
                    f"{obj.name} must be on the network's clock, {self.clock.name}: a step moves "
                    f"no other (clock=network.clock)"
                )
        self._stepper = Stepper(self.net, {})
        self._stepper.do_instead(self._shortcuts())
        self._advance = self._stepper.tick
        self.net.store()
        self._prepared = True
        self._h = self.neurons.variables["h"].get_value()
        self._timestep = self.clock.variables["timestep"].get_value()
        self._t = self.clock.variables["t"].get_value()
        self._dt = float(self.clock.dt)
        self._keep_inputs()

    @property
    def _clocks(self) -> tuple[Clock, ...]:
        """Those that a step moves."""
        return (self.clock,)

    def _keep_inputs(self) -> None:
        """Keep the arrays that inputs are put into."""
        self._z_power = self.presynaptic.variables["z_power"].get_value()
        self._driven = self.presynaptic.variables["_drivenspace"].get_value()
        self._z = self.presynaptic.variables["z"].get_value()
        self._z_last = self.presynaptic.variables["z_last"].get_value()
        self._z_total = self.neurons.variables["z_total"].get_value()
        if self._periphery is not None:
            self._read_key = self.neurons.variables["read_key"].get_value()
            self._spent = self.neurons.variables["E_periphery"].get_value()

    def reset(self, noise_key: int = 0) -> None:
        """Back to the state before the first step: F = h = 0, no energy, time 0.

        Parameters
        ----------
        noise_key : int in [0, 2^31)
            Seed of the noise from pulse to pulse from now on, if there is any.

        Raises
        ------
        ValueError
            If the key is out of range.
        """
        if not 0 <= noise_key < 2**31:
            raise ValueError(f"noise_key must lie in [0, 2^31), got {noise_key}")
        if self._prepared:
            self.net.restore()
        if self.nonidealities is not None:
            self.synapses.noise_key = noise_key
            self.neurons.read_key = noise_key

    def state(self) -> dict[str, NDArray[Any]]:
        """Every variable of neurons and synapses and the number of steps, as copies.

        What monitors hold is not among them.
        """
        return {name: array.copy() for name, array in self._arrays().items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a state of a network like this one: every bit is as if never stopped.

        Raises
        ------
        StateError
            If a variable is missing, unknown, of another shape or type, or not finite;
            nothing is changed then.
        """
        arrays = self._arrays()
        check_state(state, arrays)
        for name, array in arrays.items():
            array[:] = state[name]
        self._t[0] = self._timestep[0] * self._dt
        self.net.t_ = float(self._t[0])

    def _arrays(self) -> dict[str, NDArray[Any]]:
        """What changes while the network runs or when `apply_bias` is called, as views."""
        self.prepare()
        groups = {"pre": self.presynaptic, "post": self.neurons, "synapses": self.synapses}
        return {"timestep": self._timestep} | {
            f"{prefix}.{name}": variable.get_value()
            for prefix, group in groups.items()
            for name, variable in group.variables.items()
            if isinstance(variable, ArrayVariable)
            and variable.owner.name == group.name
            and not variable.read_only
        }

    @property
    def z(self) -> NDArray[np.float64]:
        """Presynaptic vector of the last step, (M,), as a view."""
        return self.presynaptic.variables["z"].get_value()

    def of_synapses(self, name: str) -> NDArray[np.float64]:
        """A variable of the synapses, in SI units, as a copy of (M, N)."""
        return np.array(self.view_of_synapses(name), dtype=np.float64)

    def view_of_synapses(self, name: str) -> NDArray[Any]:
        """A variable of the synapses as `of_synapses`, as a view that is not to be written to."""
        view = self.synapses.variables[name].get_value().reshape(-1, self.parameters.n_hidden)
        view.flags.writeable = False
        return view

    @property
    def short_term(self) -> NDArray[np.float64]:
        """F of every synapse now, in their order; with two exponentials the sum of both parts."""
        synapses = self.synapses
        slow = synapses.F_slow_now[:] if "F_slow" in synapses.variables else 0.0
        return np.asarray(synapses.F_now[:] + slow)

    @property
    def time(self) -> Quantity:
        """Simulated time so far."""
        return self.clock.t[:] * 1

    def energy(self, *, worst_case: bool = False) -> dict[str, Quantity]:
        """Energy of all synapses so far, by term: pulse, bias, read.

        Where converters or a reference column are there, `periphery` is what they spent.

        The pulses of the last step are issued at the next one and not yet in.

        Parameters
        ----------
        worst_case : bool
            Charge the bias of every synapse at `bias_voltage_max`, whatever voltage its
            decay needs: the paper's upper bound.
        """
        energy = self.synapses.energy()
        if worst_case:
            conductance = np.sum(self.synapses.G_integral[:])
            energy["bias"] = self.device.bias_voltage_max**2 * conductance
        if self._periphery is not None and self._reference.is_there:
            energy["periphery"] = self.neurons.E_periphery[:] * 1
        return energy


def _may_read(obj: BrianObject, variable: Variable) -> bool:
    """Whether an object's code uses a variable, or is Python, of which that is not known."""
    codes = (code.variables.values() for code in obj.code_objects)
    return not is_plain(obj) or any(v is variable for values in codes for v in values)
