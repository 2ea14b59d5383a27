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
form; `apply_bias` settles it whenever V_bias or W changes.

Source: Rodriguez, Guo and Moraitis, ICML 2022 (recursion); Weilenmann et al., Nature
Communications 15 (2024), Figs. 3 and 4 (decay, pulses, energies).
"""

from typing import Any, Literal

import numpy as np
from brian2 import Clock, Equations, NeuronGroup, Synapses
from brian2.groups.group import Group
from brian2.units import Quantity, volt

from mstpn.synapses import law
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import CYCLE_NOISE, Deviations
from mstpn.synapses.rows import visit_rows
from mstpn.synapses.write_limits import WriteLimits

__all__ = [
    "CLOCK_DRIVEN",
    "DECAY",
    "EVENT_DRIVEN",
    "PRESYNAPTIC",
    "READ",
    "READ_SLOW",
    "SLOW",
    "SPREAD",
    "SWEEPABLE",
    "WRITE",
    "WRITE_LIMITED",
    "WRITE_SLOW",
    "apply_bias",
    "check_weight",
    "constants",
    "get_presynaptic",
    "get_shared_constants",
    "get_synapses",
    "share_constants",
]

PRESYNAPTIC = Equations("""
    z : 1                                               # input of this step
    z_last : 1                                          # input of the last step
    z_power = abs(z_last)**energy_exponent : 1 (constant over dt)
""")
"""Presynaptic units; the postsynaptic side needs `h`, `h_power` and `I`."""


def _g(weight: str) -> str:
    return law.put(law.CONDUCTANCE, S=f"({weight})")


def _code(*lines: str) -> str:
    """Event code of some lines, as it is printed."""
    each = [line for text in lines for line in text.strip().splitlines()]
    return "".join(f"\n    {line}" for line in each) + "\n"


DECAY = Equations(f"""
    tau = T_step/({law.DECAY_RATE}) : second (constant over dt)
""")
"""Time constant of F under V_bias: Lambda = exp(-T_step/tau) is the sigmoid of Fig. 3e."""

_COMMON = (
    Equations("""
    W : 1                                               # long-term weight
    Gamma : 1                                           # short-term learning rate
    V_bias : volt                                       # held between pulses
""")
    + DECAY
    + Equations("""
    E_unit : joule                                      # pulse energy at |h z| = 1
    E_pulse : joule
    E_read : joule
""")
)

EVENT_DRIVEN = _COMMON + Equations(f"""
    dF/dt = -F/tau : 1 (event-driven)                   # short-term weight, as of lastupdate
    F_in : 1                                            # F at t_settled + all updates since
    F_now = F*exp(-(t - lastupdate)/tau) : 1
    G = {_g("W + F_now")} : siemens
    t_settled : second                                  # last change of V_bias or W
    E_settled : joule                                   # E_bias at t_settled
    G_settled : siemens*second                          # G_integral at t_settled
    G_integral = G_settled + (G_offset + kappa*W)*(t - t_settled)
                 + kappa*tau*(F_in - F_now) : siemens*second
    E_bias = E_settled + V_bias**2*(G_integral - G_settled) : joule
""")
"""F is computed at events only; F_now, G, G_integral and E_bias are exact whenever read."""

CLOCK_DRIVEN = _COMMON + Equations(f"""
    dF/dt = -F/tau : 1 (clock-driven)
    G = {_g("W + F")} : siemens
    dE_bias/dt = V_bias**2*G : joule (clock-driven)
""")
"""The same synapse integrated step by step: the check of the event-driven form."""

_WANTED = "wanted = Gamma*h_post*z_last_pre"
_ENERGY = "E_unit*h_power_post*z_power_pre"
_CHARGED = law.put(law.CHARGE, energy=_ENERGY)

WRITE = _code(
    _WANTED,
    "dF = pulse_gain*wanted",
    "F += dF",
    f"E_pulse += {_ENERGY}",
)
"""The Hebbian pulse of the last step; pulse_gain is 1 for an ideal device. Its energy is a
power law of |Gamma| |h| |z|, so it is the product of three powers, none of which has to be
taken per synapse and event."""

WRITE_LIMITED = _code(
    _WANTED,
    law.ISSUE,
    law.WINDOW,
    "dF = F_new - F",
    "F = F_new",
    _CHARGED,
    "E_pulse += charged",
)
"""The same pulse within a device's limits: none that is too small, none above dF_max, and
W + F within its window. What is issued is paid for, also where F cannot move any more."""

SPREAD = Equations("""
    V_half : volt                                       # of this device
    device_gain : 1                                     # of its updates
    pulse_gain = device_gain*clip(1 + dF_std*cycle_noise(noise_key, t_in_timesteps - 1,
                                                         i*N_post + j), 0, inf) : 1
    noise_key : integer (shared)                        # seed of the noise of this game
""")
"""What a synapse has beside the ideal ones if devices differ: see `nonidealities`."""

SLOW = Equations(f"""
    tau_slow = slow_tau_ratio*tau : second
    dF_slow/dt = -F_slow/tau_slow : 1 (event-driven)    # slow part, as of lastupdate
    F_slow_in : 1                                       # as F_in
    F_slow_now = F_slow*exp(-(t - lastupdate)/tau_slow) : 1
    G = {_g("W + F_now + F_slow_now")} : siemens
    G_integral = G_settled + (G_offset + kappa*W)*(t - t_settled)
                 + kappa*tau*(F_in - F_now)
                 + kappa*tau_slow*(F_slow_in - F_slow_now) : siemens*second
""")
"""Decay with two exponentials: beside those of `EVENT_DRIVEN`, with G and G_integral in place
of its own. F is then the fast part alone."""

READ = _code(
    f"G_read = {_g('W + F')}",
    "I_post += V_read*G_read*z_pre",
    "E_read += V_read**2*G_read*t_read*abs(z_pre)",
)
"""The read current; an input is read for |z| read durations, with the polarity of z."""

WRITE_SLOW = _code(
    _WANTED,
    law.ISSUE,
    law.put(law.WINDOW, F_new="F_slow_new", F="F_slow", pulse="slow_fraction*pulse"),
    law.put(law.WINDOW, W="(W + F_slow_new)", pulse="(1 - slow_fraction)*pulse"),
    "dF = F_new - F",
    "F_slow_in += F_slow_new - F_slow",
    "F_slow = F_slow_new",
    "F = F_new",
    _CHARGED,
    "E_pulse += charged",
)
"""The pulse of `WRITE_LIMITED` shared between F_slow and F. Where W + F_slow and W + F_slow + F
are within the window after a pulse, the total stays there until the next: whatever is left of
both parts, W + F_slow(t) + F(t) is a weighted mean of W and these two."""

READ_SLOW = """
    G_slow = kappa*F_slow
    I_post += V_read*G_slow*z_pre
    E_read += V_read**2*G_slow*t_read*abs(z_pre)
"""
"""What `READ` leaves out of a synapse with `SLOW`."""

SWEEPABLE = Equations("""
    G_offset : siemens (shared, constant)
    kappa : siemens (shared, constant)
    V_half : volt (shared, constant)
    V_slope : volt (shared, constant)
    V_read : volt (shared, constant)
    t_read : second (shared, constant)
    E_0 : joule (shared, constant)
    dF_0 : 1 (shared, constant)
    energy_exponent : 1 (shared, constant)
    T_step : second (shared, constant)
    dF_min : 1 (shared, constant)
    dF_max : 1 (shared, constant)
    S_min : 1 (shared, constant)
    S_max : 1 (shared, constant)
    E_max : joule (shared, constant)
    pulse_gain : 1 (shared, constant)
""")
"""All `constants` as variables of one group, see `get_shared_constants`."""

_AFTER_WRITE = {"event-driven": "    F_in += dF\n", "clock-driven": ""}
_EQUATIONS = {"event-driven": EVENT_DRIVEN, "clock-driven": CLOCK_DRIVEN}


def constants(
    device: Memristor, step_duration: Quantity, limits: WriteLimits | None = None
) -> dict[str, Any]:
    """Namespace of the equations.

    Parameters
    ----------
    device : Memristor
    step_duration : Quantity, second
        Time of one network step, to which Lambda refers.
    limits : WriteLimits, optional
        Those of `WRITE_LIMITED`.
    """
    limits = limits or WriteLimits()
    return {
        "G_offset": device.offset_conductance,
        "kappa": device.weight_conductance,
        "V_half": device.decay_half_voltage,
        "V_slope": device.decay_slope_voltage,
        "V_read": device.read_voltage,
        "t_read": device.read_duration,
        "E_0": device.pulse_energy,
        "dF_0": device.delta_f_max,
        "energy_exponent": device.energy_exponent,
        "T_step": step_duration,
        "dF_min": limits.delta_f_min,
        "dF_max": limits.delta_f_max,
        "S_min": limits.total_min,
        "S_max": limits.total_max,
        "E_max": device.pulse_energy_for(limits.delta_f_max),
        "pulse_gain": 1.0,
    }


def get_shared_constants(
    device: Memristor, step_duration: Quantity, limits: WriteLimits | None = None
) -> NeuronGroup:
    """One group that holds `constants` as variables, so that compiled code can run with others.

    As literals, which they are otherwise, they cost nothing to read and are compiled in.

    Parameters
    ----------
    device : Memristor
    step_duration : Quantity, second
    limits : WriteLimits, optional
        Those of `constants`.
    """
    group = NeuronGroup(1, SWEEPABLE, method="exact", namespace={}, name="constants*")
    for name, value in constants(device, step_duration, limits).items():
        setattr(group, name, value)
    return group


def share_constants(group: Group, shared: NeuronGroup) -> None:
    """Let a group, new and not compiled, take its constants from `get_shared_constants`."""
    for name in SWEEPABLE.names & group.namespace.keys():
        del group.namespace[name]
        group.variables.add_reference(name, shared, name, index="0")


def get_presynaptic(
    n: int,
    device: Memristor,
    step_duration: Quantity,
    *,
    clock: Clock | None = None,
    shared: NeuronGroup | None = None,
    name: str = "presynaptic*",
) -> NeuronGroup:
    """Presynaptic units that emit `active` when z != 0, `driven` then and one step later.

    Set z and z_last before a step begins, in its slot `before_start` at the latest with a
    negative order: powers of them are taken there.

    Parameters
    ----------
    n : int
    device : Memristor
    step_duration : Quantity, second
    clock : Clock, optional
        Brian2's default clock if absent. That one still shows the end of an earlier run until
        the next begins at 0, so give a clock if there was one: `apply_bias` takes its time.
    shared : NeuronGroup, optional
        From `get_shared_constants`.
    name : str
    """
    group = NeuronGroup(
        n,
        PRESYNAPTIC,
        events={"active": "z != 0", "driven": "z != 0 or z_last != 0"},
        method="exact",
        clock=clock,
        namespace=constants(device, step_duration),
        name=name,
    )
    if shared is not None:
        share_constants(group, shared)
    return group


def get_synapses(
    presynaptic: NeuronGroup,
    postsynaptic: NeuronGroup,
    device: Memristor,
    step_duration: Quantity,
    *,
    form: Literal["event-driven", "clock-driven"] = "event-driven",
    limits: WriteLimits | None = None,
    deviations: Deviations | None = None,
    delta_f_std: float = 0.0,
    shared: NeuronGroup | None = None,
    method: str = "rk4",
    name: str = "synapses*",
) -> Synapses:
    """All-to-all ST-Hebb synapses, ordered by presynaptic unit, with W = Gamma = F = 0.

    Parameters
    ----------
    presynaptic : NeuronGroup
        From `get_presynaptic`.
    postsynaptic : NeuronGroup
        With `h : 1` (output of the last step), `h_power : 1` (|h| to the energy exponent)
        and `I : amp`.
    device : Memristor
    step_duration : Quantity, second
    form : {"event-driven", "clock-driven"}
    limits : WriteLimits, optional
        Pulses follow `WRITE_LIMITED` instead of `WRITE`.
    deviations : Deviations, optional
        Of each device, in the order of the synapses. The equations are then those of
        `SPREAD` too, and of `SLOW` if a part of dF decays slowly; without it all devices are
        ideal.
    delta_f_std : float
        Spread of dF from pulse to pulse, with `deviations`.
    shared : NeuronGroup, optional
        From `get_shared_constants`.
    method : str
        Integration method of the clock-driven form.
    name : str

    Returns
    -------
    Synapses
        Set W, Gamma and V_bias with `apply_bias`.

    Raises
    ------
    ValueError
        If a clock-driven synapse is to decay with two exponentials.
    """
    equations, namespace = _EQUATIONS[form], constants(device, step_duration, limits)
    code = (WRITE_LIMITED if limits else WRITE) + _AFTER_WRITE[form] + READ
    if deviations is not None and deviations.slow_fraction > 0:
        if form != "event-driven":
            raise ValueError(f"form must be event-driven with slow_fraction, got {form}")
        equations = Equations([e for e in equations.values() if e.varname not in SLOW]) + SLOW
        code = WRITE_SLOW + _AFTER_WRITE[form] + READ + READ_SLOW
        namespace["slow_fraction"] = deviations.slow_fraction
        namespace["slow_tau_ratio"] = deviations.slow_tau_ratio
    if deviations is not None:
        equations += SPREAD
        del namespace["V_half"], namespace["pulse_gain"]
        namespace |= {"dF_std": delta_f_std, "cycle_noise": CYCLE_NOISE}
    synapses = Synapses(
        presynaptic,
        postsynaptic,
        equations,
        on_pre=code,
        on_event="driven",
        method=method,
        clock=presynaptic.clock,
        namespace=namespace,
        name=name,
    )
    if shared is not None:
        share_constants(synapses, shared)
    if form == "clock-driven":
        synapses.state_updater.when = "end"
    synapses.connect()
    visit_rows(synapses.pre)
    if deviations is not None:
        synapses.V_half = device.decay_half_voltage + deviations.half_voltage_shift * volt
        synapses.device_gain = deviations.update_gain
    synapses.V_bias = device.bias_voltage_min
    synapses.subexpression_updater.before_run({})
    synapses.subexpression_updater.run()
    synapses.subexpression_updater.active = form == "clock-driven"
    return synapses


def apply_bias(
    synapses: Synapses,
    device: Memristor,
    *,
    bias_voltage: Quantity | None = None,
    weight: Any = None,
    gamma: Any = None,
) -> None:
    """Change V_bias, W or Gamma of event-driven synapses, at any time.

    F and the bias energy are brought up to date under the old values first, and tau is
    computed anew: it is not recomputed at every time step.

    Parameters
    ----------
    synapses : Synapses
        Event-driven, from `get_synapses`.
    device : Memristor
        Its limits are checked.
    bias_voltage : Quantity, volt, optional
    weight, gamma : array_like, optional
        Scalars or one value per synapse.

    Raises
    ------
    ValueError
        If a bias voltage or weight is outside the device's range, or a value not finite;
        nothing is changed then.
    """
    if bias_voltage is not None:
        device.decay(bias_voltage)
    if weight is not None:
        check_weight(weight, device)
    if gamma is not None and not np.isfinite(gamma).all():
        raise ValueError("gamma must be finite")
    synapses.E_settled = "E_bias"
    synapses.G_settled = "G_integral"
    for trace in ("F", "F_slow"):
        if trace in synapses.variables:
            setattr(synapses, trace, f"{trace}_now")
            setattr(synapses, f"{trace}_in", trace)
    synapses.lastupdate = "t"
    synapses.t_settled = "t"
    if weight is not None:
        synapses.W = weight
    if gamma is not None:
        synapses.Gamma = gamma
        synapses.E_unit = law.put(law.ENERGY_OF_UPDATE, dF="Gamma")
    if bias_voltage is not None:
        synapses.V_bias = np.clip(bias_voltage, device.bias_voltage_min, device.bias_voltage_max)
        synapses.subexpression_updater.run()


def check_weight(weight: Any, device: Memristor) -> None:
    """Raise ValueError if a long-term weight is outside the device's conductance window."""
    values = np.asarray(weight, dtype=float)
    low, high = device.weight_min, device.weight_max
    if not ((values >= low) & (values <= high)).all():
        raise ValueError(
            f"weight must lie in [{low:.4g}, {high:.4g}], the device's conductance window, "
            f"got values from {values.min():.4g} to {values.max():.4g}"
        )
