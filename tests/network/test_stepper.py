"""Stepping equals running, to the last bit."""

from typing import Any

import numpy as np
import pytest
from brian2 import (
    Clock,
    Network,
    NeuronGroup,
    PopulationRateMonitor,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    TimedArray,
    network_operation,
    set_device,
)
from brian2.devices.device import reset_device
from brian2.units import ms, mV, second, volt

from mstpn.network.stepper import Stepper
from mstpn.synapses import st_hebb
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.spiking import get_spiking_synapses


class Model:
    """A random network: two clocks, delays, monitors of other steps, code that runs regularly."""

    def __init__(self, seed: int, device: Memristor) -> None:
        rng = np.random.default_rng(seed)
        fine = Clock(float(rng.choice([0.1, 0.2])) * ms, name="fine_clock*")
        coarse = Clock(float(rng.choice([0.5, 1.0, 1.3])) * ms, name="coarse_clock*")
        n = int(rng.integers(2, 6))
        drive = TimedArray(rng.uniform(0, 40, (60, n)) * mV, dt=2 * ms, name="drive*")
        self.neurons = NeuronGroup(
            n,
            "dv/dt = (current(t, i) - v)/(5*ms) : volt (unless refractory)\ncount : 1",
            threshold="v > 15*mV",
            reset="v = 0*mV; count += 1",
            refractory=1 * ms,
            method="exact",
            clock=fine,
            namespace={"current": drive},
            name="lif*",
        )
        self.neurons.v = rng.uniform(0, 15, n) * mV
        self.slow = NeuronGroup(n, "x : 1", clock=coarse, namespace={}, name="slow*")
        self.slow.run_regularly("x = 0.9*x + 0.1*i", name="regular*")
        times = np.sort(rng.choice(1000, 30, replace=False)) * 0.1 * ms
        source = (
            SpikeGeneratorGroup(n, rng.integers(0, n, 30), times, clock=fine, name="generator*")
            if float(fine.dt / ms) == 0.1
            else None
        )
        targets = [(self.neurons, self.slow, "x_post += 0.01*j", 1.7 * ms)]
        if source is not None:
            targets.append((source, self.neurons, "v_post += 2*mV", 0.3 * ms))
        self.objects: list[Any] = [self.neurons, self.slow, *([source] if source else [])]
        for before, after, code, delay in targets:
            made = Synapses(before, after, on_pre=code, delay=delay, namespace={}, name="syn*")
            made.connect(p=1.0)
            self.objects.append(made)
        pre = st_hebb.get_presynaptic(n, device, 1 * ms, clock=coarse)
        post = st_hebb.get_postsynaptic(2, device, 1 * ms, clock=coarse)
        self.memristors = st_hebb.get_synapses(pre, post, device)
        self.memristors.V_bias, self.memristors.Gamma = 0.4 * volt, 0.05
        pre.run_regularly("z_last = z", when="before_start", order=-2, clock=coarse)
        pre.run_regularly("z = sin(t/ms + i)", when="before_start", order=-1, clock=coarse)
        post.run_regularly("h = tanh(I/(5*nA))", when="end", clock=coarse)
        self.monitors = [
            StateMonitor(self.neurons, "v", record=True, dt=0.4 * ms, name="voltage*"),
            SpikeMonitor(self.neurons, name="spikes*"),
            PopulationRateMonitor(self.neurons, name="rate*"),
            StateMonitor(self.slow, "x", record=True, clock=coarse, name="x_of*"),
        ]
        self.seen: list[float] = []

        @network_operation(clock=coarse)
        def look(t: Any) -> None:
            self.seen.append(float(t / second))

        self.net = Network(*self.objects, pre, post, self.memristors, *self.monitors, look)

    def found(self) -> dict[str, Any]:
        voltage, spikes, rate, x = self.monitors
        return {
            "t": np.array([float(self.net.t / second)]),
            "v": np.asarray(voltage.v),
            "v_t": np.asarray(voltage.t),
            "i": np.asarray(spikes.i),
            "spike_t": np.asarray(spikes.t),
            "rate": np.asarray(rate.rate),
            "x": np.asarray(x.x),
            "count": np.asarray(self.neurons.count[:]),
            "F": np.asarray(self.memristors.F_now[:]),
            "E": np.asarray(self.memristors.E_bias[:]),
            "seen": np.array(self.seen),
        }


def same(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert a.keys() == b.keys()
    for name, values in a.items():
        np.testing.assert_array_equal(values, b[name], err_msg=name)


@pytest.mark.parametrize("seed", range(5))
def test_steps_are_runs_bit_for_bit(seed: int, device: Memristor) -> None:
    whole, stepped = Model(seed, device), Model(seed, device)
    whole.net.run(60 * ms, namespace={})
    stepper = Stepper(stepped.net, namespace={})
    rng = np.random.default_rng(seed)
    done = 0
    while done < 600:
        some = min(int(rng.integers(1, 80)), 600 - done)
        stepper.step(some * 0.1 * ms)
        done += some
    assert len(whole.monitors[1].i) > 5
    whole.net.t_, stepped.net.t_ = round(whole.net.t_, 9), round(stepped.net.t_, 9)
    same(whole.found(), stepped.found())


def test_steps_runs_store_and_restore_in_any_order(device: Memristor) -> None:
    whole, mixed = Model(7, device), Model(7, device)
    whole.net.run(40 * ms, namespace={})
    stepper = Stepper(mixed.net, namespace={})
    stepper.step(10 * ms)
    mixed.net.store("here")
    before = mixed.found()
    stepper.step(13 * ms)
    mixed.net.run(2 * ms, namespace={})
    mixed.net.restore("here")
    mixed.seen[:] = [t for t in mixed.seen if t < 0.01 - 1e-9]
    same(before, mixed.found())
    mixed.net.run(10 * ms, namespace={})
    stepper.step(20 * ms)
    same(whole.found(), mixed.found())


def test_a_state_from_before_the_stepper_is_prepared_anew(device: Memristor) -> None:
    found = []
    for early in (False, True):
        clock = Clock(0.1 * ms, name="early_clock*")
        spikes = SpikeGeneratorGroup(1, [0], [1] * ms, clock=clock, name="both_sides*")
        synapses = get_spiking_synapses(spikes, spikes, device)
        synapses.Gamma, synapses.V_bias = 0.1, 0.5 * volt
        net = Network(spikes, synapses)
        if early:
            net.store("new")
        stepper = Stepper(net, {})
        if not early:
            net.store("new")
        stepper.step(10 * ms)
        net.restore("new")
        stepper.step(101 * ms)
        synapses.V_bias = 0.1 * volt
        stepper.step(100 * ms)
        found.append((synapses.F_now[0], *map(float, synapses.energy().values())))
    assert found[0][0] > 0.001
    assert found[0] == found[1]


def test_a_state_from_before_the_stepper_in_plain_brian2() -> None:
    clock = Clock(0.1 * ms, name="plain_clock*")
    spikes = SpikeGeneratorGroup(1, [0, 0], [1, 3] * ms, clock=clock, name="plain_spikes*")
    seen = SpikeMonitor(spikes, name="plain_seen*")
    net = Network(spikes, seen)
    net.store("new")
    stepper = Stepper(net, {})
    for _ in range(2):
        stepper.step(2 * ms)
        np.testing.assert_allclose(seen.t / ms, [1], rtol=1e-12)
        net.restore("new")
    stepper.step(5 * ms)
    np.testing.assert_allclose(seen.t / ms, [1, 3], rtol=1e-12)


def test_what_is_added_is_prepared_and_what_is_inactive_rests(device: Memristor) -> None:
    model = Model(1, device)
    stepper = Stepper(model.net, namespace={})
    stepper.step()
    coarse = float(model.slow.clock.dt / ms)
    assert float(model.net.t / ms) == pytest.approx(coarse)
    clock = model.slow.clock
    late = NeuronGroup(1, "dy/dt = 1*Hz : 1", method="euler", clock=clock, name="late*")
    model.net.add(late)
    stepper.step(10 * coarse * ms)
    assert late.y[0] == pytest.approx(10 * coarse * 1e-3)
    late.active = False
    stepper.step(10 * coarse * ms)
    assert late.y[0] == pytest.approx(10 * coarse * 1e-3)


def test_a_stop_stops(device: Memristor) -> None:
    model = Model(2, device)
    clock = model.slow.clock

    @network_operation(clock=clock, when="end")
    def stop(t: Any) -> None:
        if t > 5 * ms:
            model.net.stop()

    model.net.add(stop)
    stepper = Stepper(model.net, namespace={})
    stepper.step(50 * ms)
    assert 5 < float(model.net.t / ms) < 8


def test_names_come_from_where_the_stepper_is_made() -> None:
    rate = 3 / second
    group = NeuronGroup(1, "dy/dt = rate : 1", method="euler", clock=Clock(1 * ms), name="named*")
    stepper = Stepper(Network(group))
    stepper.step(10 * ms)
    assert group.y[0] == pytest.approx(float(rate * 10 * ms))


def test_what_cannot_be_stepped_is_refused(device: Memristor) -> None:
    stepper = Stepper(Network(NeuronGroup(1, "y : 1", clock=Clock(1 * ms), name="only*")), {})
    with pytest.raises(ValueError, match="duration must not be negative"):
        stepper.step(-1 * ms)
    set_device("cpp_standalone", build_on_run=False)
    try:
        with pytest.raises(ValueError, match="needs Brian2's runtime device"):
            Stepper(Network(), {})
    finally:
        reset_device()
        set_device("runtime")
