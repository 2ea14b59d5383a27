"""Spiking synapses against closed forms, spike by spike, and against the device under V(t)."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import oracles
import pytest
from brian2 import (
    Clock,
    Network,
    NeuronGroup,
    PoissonGroup,
    SpikeGeneratorGroup,
    defaultclock,
    set_device,
)
from brian2 import (
    device as brian_device,
)
from brian2.devices.device import reset_device
from brian2.units import coulomb, farad, joule, ms, second, usecond, volt

from mstpn.synapses.bench.voltage_driven import simulate
from mstpn.synapses.bench.waveforms import Waveform
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import Nonidealities, cycle_noise
from mstpn.synapses.spiking import get_spiking_synapses
from mstpn.synapses.support.brian_target import use_target

DT = 0.1 * ms
TRACE = 20.0  # ms
STD = 0.3


def trains(seed: int, n: int, n_spikes: int = 25) -> tuple[Any, Any]:
    """Units and times in steps of DT, no unit twice in a step, within 300 ms."""
    rng = np.random.default_rng(seed)
    places = rng.choice(n * 3000, n_spikes, replace=False)
    at = np.sort(places // n)
    return rng.permutation(places % n), at


class Model:
    """A source of spikes on either side, and the synapses between."""

    def __init__(self, device: Memristor, seed: int, n: tuple[int, int], **options: Any) -> None:
        clock, self.shape = Clock(DT, name="spikes_clock*"), n
        (self.i, self.at_pre), (self.j, self.at_post) = trains(seed, n[0]), trains(seed + 99, n[1])
        sources = [
            SpikeGeneratorGroup(size, units, steps * DT, clock=clock, name=f"{side}*")
            for size, units, steps, side in (
                (n[0], self.i, self.at_pre, "before"),
                (n[1], self.j, self.at_post, "after"),
            )
        ]
        self.synapses = get_spiking_synapses(sources[0], sources[1], device, **options)
        self.net = Network(*sources, self.synapses)

    def run(self, duration: Any) -> None:
        self.net.run(duration, namespace={})


def on_paper(
    model: Model,
    d: oracles.Device,
    rule: str,
    parameters: dict[str, Any],
    duration: float,
    halves: tuple[float, float, float],
) -> dict[str, Any]:
    """Every synapse by itself, from spike to spike."""
    n = len(model.synapses)
    found = {name: np.zeros(n) for name in ("F", "pulse", "bias", "read", "charge")}
    limits = parameters["limits"]
    for k, (i, j) in enumerate(zip(model.synapses.i[:], model.synapses.j[:], strict=True)):
        events = [(t, 0) for t in model.at_pre[model.i == i]]
        events += [(t, 1) for t in model.at_post[model.j == j]]
        w, gamma, v = (parameters[name][k] for name in ("W", "Gamma", "V_bias"))
        half_voltage = 0.3 + parameters.get("shift", np.zeros(n))[k]
        rate = math.log1p(math.exp((half_voltage - v) / 0.12283266696153589)) / (1 / 15)
        f = x = y = now = 0.0
        last = [-1e9, -1e9]

        def gain(step: int, k: int = k, synapse: int = i * model.shape[1] + j) -> float:
            if "gain" not in parameters:
                return 1.0
            noise = STD * float(cycle_noise(0, step, synapse))
            return float(parameters["gain"][k]) * max(1 + noise, 0)

        for step, side in [*sorted(events), (round(duration / 1e-4), None)]:
            span = step * 1e-4 - now
            left, fade = f * math.exp(-rate * span), math.exp(-span / (TRACE * 1e-3))
            static = (d.g_offset + d.kappa * w) * span
            found["bias"][k] += v**2 * (static + d.kappa * (f - left) / rate)
            f, x, y, now = left, x * fade, y * fade, step * 1e-4
            if side is None:
                break
            if rule == "traces":
                x, y = (x + 1, y) if side == 0 else (x, y + 1)
                wanted = gamma * (y if side == 0 else x)
                issued = 0.0 if abs(wanted) < limits.delta_f_min else wanted
                issued = max(-limits.delta_f_max, min(limits.delta_f_max, issued))
                moved = f + gain(step) * issued
                found["pulse"][k] += d.e_pulse * (abs(issued) / d.df_max) ** d.energy_exponent
            else:
                half, e_half, width = halves
                share = min(max(1 - (now - last[1 - side]) / width, 0), 1)
                moved = f + gain(step) * (half + (d.df_max - 2 * half) * share)
                found["pulse"][k] += e_half + (d.e_pulse - 2 * e_half) * share
                last[side] = now
            f = max(limits.total_min - w, min(limits.total_max - w, moved))
            if side == 0:
                conductance = d.g_offset + d.kappa * (w + f)
                found["read"][k] += d.v_read**2 * conductance * d.t_read
                found["charge"][k] += d.v_read * d.kappa * (w + f) * d.t_read
        found["F"][k] = f
    return found


def check(model: Model, wanted: dict[str, Any]) -> None:
    s = model.synapses
    got = {
        "F": s.F_now[:],
        **{t: getattr(s, f"E_{t}")[:] / joule for t in ("pulse", "bias", "read")},
    }
    for name, values in got.items():
        # some 50 roundings, relative to the largest value
        atol = 1e-12 * float(np.abs(wanted[name]).max())
        np.testing.assert_allclose(
            np.asarray(values), wanted[name], rtol=0, atol=atol, err_msg=name
        )


def drawn(n: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "W": rng.uniform(-0.5, 0.5, n),
        "Gamma": rng.uniform(-0.1, 0.1, n),
        "V_bias": rng.uniform(0.1, 0.6, n),
    }


def halves(device: Memristor) -> tuple[float, float, float]:
    """Update, energy and width of half a reference pulse, by the powers of the device file."""
    return 0.1 * 0.5**4, 14.6e-12 * 0.5**2, 1e-4


@pytest.mark.parametrize("rule", ["traces", "overlap"])
@pytest.mark.parametrize("spread", [False, True])
@pytest.mark.parametrize(
    ("sparse", "target"), [(False, "numpy"), (True, "numpy"), (True, "cython")]
)
def test_spike_by_spike(
    rule: str, target: Any, sparse: int, spread: bool, device: Memristor, numbers: oracles.Device
) -> None:
    use_target(target)
    limits, n = device.write_limits(), 9 if sparse else 12  # i = 0, 1, 2 with j != i of 0 to 3
    options: dict[str, Any] = {"limits": limits} if rule == "traces" else {}
    parameters = drawn(n, 1)
    if spread:
        deviations = Nonidealities(
            delta_f_dtod=0.4, half_voltage_dtod=0.03 * volt, corrupt_devices_prob=0.2, seed=3
        ).draw((n,), device)
        options |= {"deviations": deviations, "delta_f_std": STD}
    model = Model(device, 5, (3, 4), rule=rule, connect="i != j" if sparse else True, **options)
    assigned = parameters if rule == "traces" else parameters | {"Gamma": np.zeros(n)}
    for name, values in assigned.items():
        setattr(model.synapses, name, values * (volt if name == "V_bias" else 1))
    model.run(400 * ms)
    parameters["limits"] = limits
    if spread:
        parameters |= {"gain": deviations.update_gain, "shift": deviations.half_voltage_shift}
    wanted = on_paper(model, numbers, rule, parameters, 0.4, halves(device))
    assert np.abs(wanted["F"]).max() > 1e-3
    check(model, wanted)


@pytest.mark.parametrize("rule", ["traces", "overlap"])
def test_an_assignment_between_spikes_leaves_traces_as_they_are(
    rule: Any, device: Memristor
) -> None:
    once, twice = (Model(device, 5, (3, 4), rule=rule, limits=None) for _ in range(2))
    for model in (once, twice):
        model.synapses.Gamma = 0.05 if rule == "traces" else 0.0
        model.synapses.V_bias = 0.5 * volt
    once.run(400 * ms)
    for _ in range(5):
        twice.run(80 * ms)
        twice.synapses.V_bias = 0.5 * volt
    assert np.max(once.synapses.F_now[:]) > 1e-3
    # F and traces in five pieces: some hundred roundings
    np.testing.assert_allclose(twice.synapses.F_now[:], once.synapses.F_now[:], rtol=1e-12)
    np.testing.assert_allclose(
        twice.synapses.E_pulse[:] / joule, once.synapses.E_pulse[:] / joule, rtol=1e-12
    )


def test_cpp_standalone_is_the_same(
    device: Memristor, numbers: oracles.Device, tmp_path: Path
) -> None:
    set_device("cpp_standalone", build_on_run=False, directory=str(tmp_path))
    try:
        limits = device.write_limits()
        model = Model(device, 5, (3, 4), limits=limits)
        parameters = drawn(12, 1)
        for name, values in parameters.items():
            setattr(model.synapses, name, values * (volt if name == "V_bias" else 1))
        model.run(400 * ms)
        brian_device.build(directory=str(tmp_path))
        wanted = on_paper(
            model, numbers, "traces", parameters | {"limits": limits}, 0.4, halves(device)
        )
        for name, values in (("pulse", model.synapses.E_pulse), ("read", model.synapses.E_read)):
            np.testing.assert_allclose(np.asarray(values[:]), wanted[name], rtol=1e-12)
    finally:
        brian_device.reinit()
        reset_device()
        set_device("runtime")


def test_the_charge_moves_a_membrane(device: Memristor, numbers: oracles.Device) -> None:
    clock = Clock(DT, name="lif_clock*")
    source = SpikeGeneratorGroup(2, [0, 1], [1, 2] * ms, clock=clock, name="source*")
    capacity = 1e-12 * farad
    lif = NeuronGroup(
        1, "v : volt", threshold="v > 1*volt", clock=clock, namespace={}, name="lif_that_spikes*"
    )
    synapses = get_spiking_synapses(
        source, lif, device, effect="v_post += charge/C_m", namespace={"C_m": capacity}
    )
    synapses.W = [0.5, -0.25]
    Network(source, lif, synapses).run(3 * ms, namespace={})
    charge = 0.6 * 10e-9 * 0.25 * 1e-6 * coulomb  # V_read kappa (0.5 - 0.25) t_read
    assert float(lif.v[0] / volt) == pytest.approx(float(charge / capacity / volt), rel=1e-13)


@pytest.mark.parametrize("apart", [0, 20, 50, 80, 150])
def test_overlap_is_the_device_under_both_voltages(apart: int, device: Memristor) -> None:
    """The pulse does not decay while it lasts: w/(2 tau) too large, and as long until the read."""
    clock = Clock(10 * usecond, name="fine_clock*")
    pre, post = (
        SpikeGeneratorGroup(1, [0], [t] * usecond, clock=clock, name=f"side{t}*")
        for t in (1000, 1000 + apart)
    )
    synapses = get_spiking_synapses(pre, post, device, rule="overlap")
    synapses.V_bias = 0.4 * volt
    Network(pre, post, synapses).run(3 * ms, namespace={})
    both = max(0, 100 - apart)
    levels = [(1000, 0.4), (min(apart, 100), 1.75), (both, 3.5), (min(apart, 100), 1.75)]
    if apart > 100:
        levels = [(1000, 0.4), (100, 1.75), (apart - 100, 0.4), (100, 1.75)]
    levels.append((3000 - sum(d for d, _ in levels), 0.4))
    levels = [(d, v) for d, v in levels if d]
    driven = simulate(
        Waveform(
            np.array([[d] for d, _ in levels]) * usecond,
            np.array([[v] for _, v in levels]) * volt,
            np.zeros(len(levels), bool),
        ),
        device,
    )
    tau = float(synapses.tau[0] / second)
    fast = float(device.time_constant(0.6 * volt) / second)
    # under pulses tau is that of the largest bias; from spike to the end of its pulse it is w
    error = 1e-4 / (2 * fast) + 2e-4 / tau
    assert synapses.F_now[0] == pytest.approx(driven.short_term[-1, 0], rel=error)
    assert synapses.F_now[0] > 0


def test_half_a_pulse_alone_is_paid_for(device: Memristor) -> None:
    clock = Clock(DT, name="half_clock*")
    pre = SpikeGeneratorGroup(1, [0], [1] * ms, clock=clock, name="pre*")
    post = SpikeGeneratorGroup(3, [], [] * ms, clock=clock, name="post*")
    synapses = get_spiking_synapses(pre, post, device, rule="overlap")
    Network(pre, post, synapses).run(1.1 * ms, namespace={})
    np.testing.assert_allclose(synapses.E_pulse[:] / joule, [3.65e-12] * 3, rtol=1e-12)
    np.testing.assert_allclose(synapses.F[:], [0.1 / 16] * 3, rtol=1e-12)


def test_poisson_inputs_and_bad_rules(device: Memristor) -> None:
    source = PoissonGroup(5, 200 / second, name="poisson*")
    defaultclock.dt = DT
    synapses = get_spiking_synapses(source, source, device, connect="i != j")
    synapses.Gamma, synapses.V_bias = 0.02, 0.5 * volt
    Network(source, synapses).run(100 * ms, namespace={})
    assert (synapses.F_now[:] >= 0).all()
    assert synapses.F_now[:].max() > 0.01
    with pytest.raises(ValueError, match="rule must be one of traces, overlap, got 'stdp'"):
        get_spiking_synapses(source, source, device, rule="stdp")  # type: ignore[arg-type]
    other = PoissonGroup(5, 200 / second, clock=Clock(1 * ms, name="slow*"), name="poisson_slow*")
    with pytest.raises(ValueError, match="both sides must spike in steps of one length"):
        get_spiking_synapses(source, other, device)
    with pytest.raises(ValueError, match="limits must be absent with overlap"):
        get_spiking_synapses(source, source, device, rule="overlap", limits=device.write_limits())
    alone = get_spiking_synapses(source, source, device, rule="overlap", name="alone*")
    with pytest.raises(ValueError, match="Gamma must be 0 with overlap"):
        alone.Gamma = 0.1
    slow = Nonidealities(slow_fraction=0.5).draw((25,), device)
    with pytest.raises(ValueError, match="deviations must be without slow_fraction"):
        get_spiking_synapses(source, source, device, deviations=slow)
    with pytest.raises(ValueError, match="trace_duration must be positive"):
        get_spiking_synapses(source, source, device, trace_duration=0 * ms)
