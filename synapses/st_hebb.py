"""The ST-Hebb synapse on a memristor, as Brian2 equations in physical units.

One network step of the canonical recursion::

    h(t)   = tanh((W + F(t)) z(t) + b)
    F(t+1) = Lambda F(t) + Gamma h(t) z(t)^T

A presynaptic unit with z != 0 emits the event `active`. Its synapses are visited then and
once more in the step after (event `driven`): they first receive the Hebbian pulse that
belongs to the last step, then are read for this one. In between, F decays by itself, so a
silent input costs no computation. Inputs tend to stay active from step to step, which is
why pulse and read share one visit.

The bias energy ``int V_bias^2 G dt`` needs no work at events either. While V_bias and W
stay, dF/dt = -F/tau between pulses gives the exact ``int F dt = tau (F_in - F)``, where
F_in is what F was at the start plus all that pulses have added. `E_bias` is that closed
form, settled whenever V_bias, W, Gamma or F is assigned.

Source: Rodriguez, Guo and Moraitis, ICML 2022 (recursion); Weilenmann et al., Nature
Communications 15 (2024), Figs. 3 and 4 (decay, pulses, energies).
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from brian2 import Clock, Equations, NeuronGroup, TimedArray, get_device
from brian2.devices.device import RuntimeDevice
from brian2.equations.equations import SUBEXPRESSION
from brian2.units import Quantity
from brian2.utils.stringtools import get_identifiers
from numpy.typing import NDArray

from mstpn.synapses import law
from mstpn.synapses.equations import (
    CLOCK_DRIVEN,
    DECAY,
    DISTURB,
    E_UNIT,
    EVENT_DRIVEN,
    NOISE_OF_READS,
    NOISY,
    POSTSYNAPTIC,
    PRESYNAPTIC,
    READ,
    READ_SIGNAL,
    READ_SLOW,
    READ_WIRED,
    SELECT,
    SELECTED,
    SETTLE,
    SETTLE_SLOW,
    SLOW,
    SPREAD,
    SWEEPABLE,
    TAU,
    WIRED,
    WRITE,
    WRITE_LIMITED,
    WRITE_SLOW,
    constants,
    get_shared_constants,
    share_constants,
)
from mstpn.synapses.group import check_weight, guards_of, initial_of, namespace_of, put_on
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import Deviations
from mstpn.synapses.periphery import Periphery
from mstpn.synapses.rows import visit_rows
from mstpn.synapses.settling import SettlingSynapses
from mstpn.synapses.write_limits import WriteLimits

__all__ = [
    "CLOCK_DRIVEN",
    "DECAY",
    "DISTURB",
    "EVENT_DRIVEN",
    "E_UNIT",
    "NOISE_OF_READS",
    "NOISY",
    "POSTSYNAPTIC",
    "PRESYNAPTIC",
    "READ",
    "READ_SIGNAL",
    "READ_SLOW",
    "READ_WIRED",
    "SELECT",
    "SELECTED",
    "SETTLE",
    "SETTLE_SLOW",
    "SLOW",
    "SPREAD",
    "SWEEPABLE",
    "TAU",
    "WIRED",
    "WRITE",
    "WRITE_LIMITED",
    "WRITE_SLOW",
    "apply_bias",
    "check_weight",
    "constants",
    "feed",
    "get_postsynaptic",
    "get_presynaptic",
    "get_shared_constants",
    "get_synapses",
    "share_constants",
]

_EQUATIONS = {"event-driven": EVENT_DRIVEN, "clock-driven": CLOCK_DRIVEN}


def get_presynaptic(
    n: int,
    device: Memristor,
    step_duration: Quantity,
    *,
    clock: Clock | None = None,
    shared: NeuronGroup | None = None,
    unselected: bool = False,
    name: str = "presynaptic*",
) -> NeuronGroup:
    """Presynaptic units that emit `active` when z != 0, `driven` then and one step later.

    `feed` gives them inputs. By hand, set z and z_last before a step begins or in its slot `start`
    at the latest: z is compared with 0 after that, and powers are taken before the synapses are
    visited.

    Parameters
    ----------
    n : int
    device : Memristor
    step_duration : Quantity, second
    clock : Clock, optional
        One of their own, of this step, if absent.
    shared : NeuronGroup, optional
        From `get_shared_constants`.
    unselected : bool
        Whether they emit `every` too, in every step, where pulses disturb all rows.
    name : str
    """
    events = {"active": "z != 0", "driven": "z != 0 or z_last != 0"}
    group = NeuronGroup(
        n,
        PRESYNAPTIC,
        events=events | ({"every": "True"} if unselected else {}),
        method="exact",
        clock=clock or Clock(step_duration, name="step_clock*"),
        namespace=constants(device),
        name=name,
    )
    group.subexpression_updater.when = "before_synapses"
    if shared is not None:
        share_constants(group, shared)
    return group


def feed(presynaptic: NeuronGroup, inputs: NDArray[np.floating[Any]]) -> None:
    """Let presynaptic units take their inputs from an array while the network runs.

    Parameters
    ----------
    presynaptic : NeuronGroup
        From `get_presynaptic`, or a subgroup of it.
    inputs : ndarray, (T, n)
        z of n units: row k in the step that begins at k steps, 0 before and after them.

    Raises
    ------
    ValueError
        If the inputs have another shape or are not finite.
    """
    n = len(presynaptic)
    if np.ndim(inputs) != 2 or np.shape(inputs)[1] != n:
        raise ValueError(f"inputs must have shape (T, {n}), got {np.shape(inputs)}")
    if not np.isfinite(inputs).all():
        raise ValueError("inputs must be finite, got NaN or infinity")
    owner = getattr(presynaptic, "source", presynaptic)
    name = f"inputs_{sum(key.startswith('inputs_') for key in owner.namespace)}"
    padded = np.concatenate([inputs, np.zeros((1, n))])
    owner.namespace[name] = TimedArray(padded, dt=presynaptic.clock.dt, name=f"{name}*")
    presynaptic.run_regularly(f"z_last = z\nz = {name}(t, i)", when="before_start")


def get_postsynaptic(
    n: int,
    device: Memristor,
    step_duration: Quantity,
    *,
    clock: Clock | None = None,
    name: str = "postsynaptic*",
) -> NeuronGroup:
    """Postsynaptic units whose h is set from outside, and whose I is the current of this step.

    Parameters
    ----------
    n : int
    device : Memristor
    step_duration : Quantity, second
    clock : Clock, optional
        That of the presynaptic units; one of their own if absent.
    name : str
    """
    group = NeuronGroup(
        n,
        POSTSYNAPTIC,
        method="exact",
        clock=clock or Clock(step_duration, name="step_clock*"),
        namespace=constants(device),
        name=name,
    )
    group.subexpression_updater.when = "before_synapses"
    group.run_regularly("I = 0*amp", when="before_start")
    return group


def get_synapses(
    presynaptic: NeuronGroup,
    postsynaptic: NeuronGroup,
    device: Memristor,
    *,
    form: Literal["event-driven", "clock-driven"] = "event-driven",
    connect: bool | str | Mapping[str, Any] = True,
    delay: Quantity | None = None,
    offset: bool = True,
    limits: WriteLimits | None = None,
    deviations: Deviations | None = None,
    delta_f_std: float = 0.0,
    periphery: Periphery | None = None,
    shared: NeuronGroup | None = None,
    method: str = "rk4",
    name: str = "synapses*",
) -> SettlingSynapses:
    """ST-Hebb synapses with W = Gamma = F = 0 at the device's smallest bias voltage.

    W, Gamma, V_bias and F may be assigned at any time, also by `apply_bias`, by code of
    `run_regularly` and by `set_states`.

    Parameters
    ----------
    presynaptic : NeuronGroup
        From `get_presynaptic`, or a subgroup of it.
    postsynaptic : NeuronGroup
        With `h : 1`, the output of the last step, the subexpression
        `h_power = abs(h)**energy_exponent : 1` and `I : amp`, to which reads are added;
        `get_postsynaptic` makes one.
    device : Memristor
    form : {"event-driven", "clock-driven"}
    connect : bool, str or mapping
        All to all, ordered by presynaptic unit; a condition; options of `Synapses.connect`; or
        False, to connect them later.
    delay : Quantity, second, optional
        Of pulses and reads; z, z_last and h are those at the arrival.
    offset : bool
        Whether I holds the current of the offset conductance, as the device gives it. If not, the
        code is `READ_SIGNAL`, and I is V_read kappa times the sum of (W + F) z.
    limits : WriteLimits, optional
        Pulses follow `WRITE_LIMITED` instead of `WRITE`.
    deviations : Deviations, optional
        Of each device, in the order of the synapses. The equations are then those of
        `SPREAD` too, and of `SLOW` if a part of dF decays slowly; without it all devices are
        ideal.
    delta_f_std : float
        Spread of dF from pulse to pulse, with `deviations`.
    periphery : Periphery, optional
        Its noise of reads and unselected rows, with `deviations`: the postsynaptic side needs
        `NOISY` and `SELECTED` then, and who makes it uses them up in every step.
    shared : NeuronGroup, optional
        From `get_shared_constants`.
    method : str
        Integration method of the clock-driven form.
    name : str

    Raises
    ------
    ValueError
        If a group lacks what the synapses need, a clock-driven synapse is to decay with two
        exponentials, or devices that deviate are to be connected later.
    """
    _check_groups(presynaptic, postsynaptic)
    slow = deviations is not None and deviations.slow_fraction > 0
    wired = deviations is not None and deviations.read_gain is not None
    noisy = periphery is not None and periphery.w_noise > 0
    disturbed = periphery is not None and periphery.disturb > 0
    for what, given in (("slow_fraction", slow), ("ir_drop_rs", wired), ("half_select", disturbed)):
        if given and form != "event-driven":
            raise ValueError(f"form must be event-driven with {what}, got {form}")
    if deviations is not None and connect is False:
        raise ValueError("connect must not be False with deviations, one for each synapse")
    if wired and not offset:
        raise ValueError("offset must be True with a resistance of lines, which it meets too")
    code: Any = _write(limits is not None, slow, disturbed) + _read(offset, slow, wired, noisy)
    on_event: Any = "driven"
    if disturbed:
        code, on_event = {"pre": code, "select": SELECT}, {"pre": "every", "select": "driven"}
    elif form == "clock-driven":
        code = _without_traces(code)
    guards = guards_of(device, form, deviations is not None, slow, wired)
    settle = () if form == "clock-driven" else SETTLE_SLOW if slow else SETTLE
    synapses = SettlingSynapses(
        presynaptic,
        postsynaptic,
        _equations(form, deviations is not None, slow, wired),
        settle=settle,
        start=("lastupdate", "t_settled") if settle else (),
        guards=guards,
        initial=initial_of(device, deviations),
        on_pre=code,
        on_event=on_event,
        delay=delay,
        method=method,
        clock=presynaptic.clock,
        namespace=namespace_of(device, limits, deviations, delta_f_std, periphery),
        name=name,
    )
    synapses.memristor = device
    if shared is not None:
        share_constants(synapses, shared)
    if form == "clock-driven":
        synapses.state_updater.when = "end"
    for pathway in synapses._pathways:
        visit_rows(pathway, same=("lastupdate",) if settle else ())
    if disturbed:
        synapses.select.order = synapses.pre.order - 1
    synapses.connect_as(connect)
    if deviations is not None:
        put_on(synapses, deviations, device)
    return synapses


def apply_bias(
    synapses: SettlingSynapses,
    device: Memristor,
    *,
    bias_voltage: Quantity | None = None,
    weight: Any = None,
    gamma: Any = None,
) -> None:
    """Change V_bias, W and Gamma together, all of them or nothing; without any, settle.

    Parameters
    ----------
    synapses : Synapses
        From `get_synapses`.
    device : Memristor
        Theirs.
    bias_voltage : Quantity, volt, optional
    weight, gamma : array_like, optional
        Scalars, one value per synapse, or (M, N) for synapses that are all to all.

    Raises
    ------
    ValueError
        If a bias voltage or weight is outside the device's range, a value not finite, of another
        shape or text, or the device another one; nothing is changed then.
    """
    if device != synapses.memristor:
        raise ValueError(f"device must be that of the synapses, got {device.name!r}")
    given = {"V_bias": ("bias_voltage", bias_voltage), "W": ("weight", weight)}
    given["Gamma"] = ("gamma", gamma)
    values = {
        variable: _per_synapse(name, value, synapses)
        for variable, (name, value) in given.items()
        if value is not None
    }
    for variable, value in values.items():
        synapses.check(variable, value)
    if "V_bias" in values:
        values["V_bias"] = np.clip(
            values["V_bias"], device.bias_voltage_min, device.bias_voltage_max
        )
    with synapses.assigning(*values):
        for variable, value in values.items():
            setattr(synapses, variable, value)


def _equations(form: str, spread: bool, slow: bool, wired: bool) -> Equations:
    equations = _EQUATIONS[form]
    for others in (SLOW,) * slow + (WIRED,) * wired:
        equations = Equations([e for e in equations.values() if e.varname not in others]) + others
    return equations + SPREAD if spread else equations


def _write(limited: bool, slow: bool, disturbed: bool) -> str:
    if slow:
        return WRITE_SLOW
    return WRITE_LIMITED + DISTURB if disturbed else WRITE_LIMITED if limited else WRITE


def _read(offset: bool, slow: bool, wired: bool, noisy: bool) -> str:
    read = READ_WIRED if wired else READ if offset else READ_SIGNAL
    noise = NOISE_OF_READS
    if slow:
        read += law.put(READ_SLOW, kappa="read_gain*kappa") if wired else READ_SLOW
        noise = law.put(noise, G_read="(G_read + G_slow)")
    return read + noise if noisy else read


def _without_traces(code: str) -> str:
    """Of synapses that are integrated step by step."""
    held = {"F_in", "lastupdate"}
    lines = code.splitlines(keepends=True)
    return "".join(line for line in lines if not held & get_identifiers(line))


def _per_synapse(name: str, values: Any, synapses: SettlingSynapses) -> Any:
    if isinstance(values, str):
        raise ValueError(f"{name} must be numbers, got {values!r}: assign text to the variable")
    shape = np.shape(values)
    if len(shape) == 2 and synapses.connected_all_to_all:
        wanted = (len(synapses.source), len(synapses.target))
        if shape != wanted:
            raise ValueError(f"{name} must have shape {wanted}, got {shape}")
        return np.reshape(values, -1)
    if len(shape) > 1:
        raise ValueError(f"{name} must be a scalar or one value per synapse, got shape {shape}")
    if shape and isinstance(get_device(), RuntimeDevice) and shape != (len(synapses),):
        raise ValueError(f"{name} must have {len(synapses)} values, one per synapse, got {shape}")
    return values


def _check_groups(presynaptic: NeuronGroup, postsynaptic: NeuronGroup) -> None:
    events = getattr(getattr(presynaptic, "source", presynaptic), "events", {})
    if "driven" not in events or "z_last" not in presynaptic.variables:
        raise ValueError("presynaptic must come from get_presynaptic, or be a subgroup of such")
    for name in ("h", "h_power", "I"):
        if name not in postsynaptic.variables:
            raise ValueError(f"postsynaptic must have {name!r}, as get_postsynaptic has")
    owner = getattr(postsynaptic, "source", postsynaptic)
    equation = owner.user_equations.get("h_power") if hasattr(owner, "user_equations") else None
    if equation is None or equation.type != SUBEXPRESSION:
        raise ValueError(
            "postsynaptic h_power must follow h, as in get_postsynaptic: "
            "h_power = abs(h)**energy_exponent : 1 (constant over dt)"
        )
