"""The synapse's equations against closed forms, SciPy and their own clock-driven form."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import oracles
import pytest
from brian2 import (
    Clock,
    EventMonitor,
    Network,
    NetworkOperation,
    NeuronGroup,
    Synapses,
)
from brian2.units import DimensionMismatchError, Quantity, amp, joule, ms, second, siemens, volt
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mstpn.synapses import st_hebb
from mstpn.synapses.memristor import Memristor

Array = NDArray[np.float64]
T_STEP = 50 * ms
N_PRE, N_POST = 3, 2

POSTSYNAPTIC = """
h : 1
h_power = abs(h)**energy_exponent : 1 (constant over dt)
I : amp
"""


@pytest.fixture(scope="session")
def device() -> Memristor:
    """Its Lambda refers to the step of these tests."""
    return Memristor.from_file().varied(decay_duration=T_STEP)


@dataclass
class Bench:
    """Synapses between units whose z and h the test sets, one row a network step."""

    net: Network
    pre: NeuronGroup
    post: NeuronGroup
    synapses: Synapses
    feed: list[tuple[Array, Array]]
    last: list[Array]
    events: EventMonitor

    def run(self, feed: list[tuple[Array, Array]]) -> None:
        """Run one network step for each (z, h), h being this step's output."""
        self.feed[:] = feed
        self.net.run(len(feed) * T_STEP)


def bench(
    device: Memristor, form: str = "event-driven", method: str = "rk4", substeps: int = 1
) -> Bench:
    clock = Clock(T_STEP / substeps)
    pre = st_hebb.get_presynaptic(N_PRE, device, T_STEP, clock=clock)
    post = NeuronGroup(
        N_POST,
        POSTSYNAPTIC,
        method="exact",
        clock=clock,
        namespace=st_hebb.constants(device),
        name="post*",
    )
    synapses = st_hebb.get_synapses(
        pre,
        post,
        device,
        form=form,  # type: ignore[arg-type]
        method=method,
    )
    feed: list[tuple[Array, Array]] = []
    last = [np.zeros(N_PRE), np.zeros(N_POST)]

    def present(t: Quantity) -> None:
        if int(clock.timestep[:]) % substeps:
            pre.z, pre.z_last = 0.0, 0.0
            return
        z, h = feed.pop(0)
        pre.z_last, post.h = last
        pre.z = z
        last[:] = z, h

    operation = NetworkOperation(
        present, clock=clock, when="before_start", order=-1, name="present*"
    )
    events = EventMonitor(pre, "active", name="events*")
    net = Network(pre, post, synapses, operation, events)
    return Bench(net, pre, post, synapses, feed, last, events)


def as_matrix(synapses: Synapses, values: Array | Quantity) -> Array:
    """(N_POST, N_PRE), as the recursion writes it."""
    return np.asarray(values).reshape(N_PRE, N_POST).T


def steps(draw_from: np.random.Generator, n: int) -> list[tuple[Array, Array]]:
    """Random inputs, half of them silent, and outputs."""
    z = draw_from.normal(size=(n, N_PRE)) * (draw_from.random((n, N_PRE)) < 0.5)
    return list(zip(z, np.tanh(draw_from.normal(size=(n, N_POST))), strict=True))


@pytest.fixture(scope="module")
def stored(device: Memristor) -> Callable[[], Bench]:
    """One compiled bench, put back to its start for every use."""
    made = bench(device)
    made.net.store()

    def fresh() -> Bench:
        made.net.restore()
        made.last[:] = np.zeros(N_PRE), np.zeros(N_POST)
        return made

    return fresh


PER_SYNAPSE = N_PRE * N_POST
PROPERTY = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@PROPERTY
@given(
    seed=st.integers(0, 2**32 - 1),
    volts=st.lists(st.floats(0, 0.6), min_size=PER_SYNAPSE, max_size=PER_SYNAPSE),
    n=st.integers(1, 15),
)
def test_event_driven_synapse_against_scipy(
    stored: Callable[[], Bench],
    device: Memristor,
    numbers: oracles.Device,
    seed: int,
    volts: list[float],
    n: int,
) -> None:
    rng = np.random.default_rng(seed)
    b = stored()
    weight = rng.uniform(-1, 1, PER_SYNAPSE)
    gamma = rng.uniform(-0.05, 0.05, PER_SYNAPSE)
    st_hebb.apply_bias(
        b.synapses, device, bias_voltage=np.array(volts) * volt, weight=weight, gamma=gamma
    )
    feed = steps(rng, n)
    b.run(list(feed))

    pulse = np.zeros(PER_SYNAPSE)
    for k in range(PER_SYNAPSE):
        i, j = divmod(k, N_POST)
        decay = 1 / (1 + np.exp(-(volts[k] - 0.3) / 0.12283266696153589))
        tau = 0.05 / np.log(1 / decay)
        trace = energy = 0.0
        for t, (z, h) in enumerate(feed):
            held, spent = oracles.held_synapse(0.05, trace, weight[k], volts[k], tau, numbers)
            energy += spent
            trace = held
            if t + 1 < n:
                update = gamma[k] * h[j] * z[i]
                trace += update
                pulse[k] += numbers.e_pulse * (abs(update) / 0.1) ** numbers.energy_exponent
        # SciPy's own tolerance is 1e-12 per interval, of which there are at most 15
        assert float(b.synapses.F_now[k]) == pytest.approx(trace, rel=1e-10, abs=1e-12)
        assert float(b.synapses.E_bias[k] / joule) == pytest.approx(energy, rel=1e-9, abs=1e-22)
    np.testing.assert_allclose(b.synapses.E_pulse[:] / joule, pulse, rtol=1e-12, atol=1e-26)


def test_pulse_of_a_step_is_written_just_before_the_next_read(
    device: Memristor, stored: Callable[[], Bench]
) -> None:
    # Lambda = 0.5, Gamma = 1, z = h = 1 at step 0 only: F is 0 during step 0, 1 when
    # step 1 reads, 1/2 when step 2 reads. A slip by one step, or a fresh increment that
    # decays before its first read, shows in this table.
    b = stored()
    st_hebb.apply_bias(b.synapses, device, bias_voltage=device.bias_voltage(0.5), gamma=1.0)
    one, zero = np.ones(N_PRE), np.zeros(N_PRE)
    expected = [0.0, 1.0, 0.5, 0.25]
    for step, trace in enumerate(expected):
        h = np.ones(N_POST) * (step == 0)
        b.run([(one if step == 0 else zero, h)])
        at_read = float(b.synapses.F_now[0]) / 0.5  # one step later
        assert at_read == pytest.approx(trace, rel=1e-14)
    assert b.events.num_events == N_PRE


def test_read_current_and_energy(
    device: Memristor, numbers: oracles.Device, stored: Callable[[], Bench]
) -> None:
    b = stored()
    weight = np.linspace(-1, 1, PER_SYNAPSE)
    st_hebb.apply_bias(b.synapses, device, weight=weight)
    z = np.array([0.5, 0.0, -2.0])
    b.run([(z, np.zeros(N_POST))])
    conductance = numbers.g_offset + numbers.kappa * as_matrix(b.synapses, weight)
    np.testing.assert_allclose(b.post.I[:] / amp, numbers.v_read * conductance @ z, rtol=1e-14)
    energy = numbers.v_read**2 * conductance * numbers.t_read * abs(z)
    np.testing.assert_allclose(
        as_matrix(b.synapses, b.synapses.E_read[:] / joule), energy, rtol=1e-14
    )


def test_silent_inputs_cost_no_event(device: Memristor) -> None:
    b = bench(device)
    z = np.array([[1.0, 0.0, -1.0], [0.0, 0.0, 0.5], [0.0, 0.0, 0.0]])
    b.run([(row, np.zeros(N_POST)) for row in z])
    assert sorted(zip(b.events.i[:], np.round(b.events.t / T_STEP), strict=True)) == [
        (0, 0),
        (2, 0),
        (2, 1),
    ]


def test_zero_gamma_is_a_static_synapse(
    device: Memristor, numbers: oracles.Device, stored: Callable[[], Bench]
) -> None:
    b = stored()
    st_hebb.apply_bias(b.synapses, device, bias_voltage=0.4 * volt, weight=0.3, gamma=0.0)
    b.run(steps(np.random.default_rng(1), 20))
    assert not np.any(b.synapses.F_now[:])
    assert not np.any(b.synapses.E_pulse[:])
    expected = 0.4**2 * (numbers.g_offset + numbers.kappa * 0.3) * 20 * 0.05
    np.testing.assert_allclose(b.synapses.E_bias[:] / joule, expected, rtol=1e-13)


def test_without_events_only_the_bias_spends(
    device: Memristor, numbers: oracles.Device, stored: Callable[[], Bench]
) -> None:
    b = stored()
    st_hebb.apply_bias(b.synapses, device, bias_voltage=0.6 * volt, gamma=0.1)
    b.run([(np.zeros(N_PRE), np.ones(N_POST))] * 7)
    for silent in (b.synapses.F_now[:], b.synapses.E_pulse[:], b.synapses.E_read[:], b.post.I[:]):
        assert not np.any(silent)
    np.testing.assert_allclose(b.synapses.E_bias[:] / joule, 4.3e-9 * 7 * 0.05, rtol=1e-13)


def test_a_voltage_below_zero_is_held_where_the_device_allows_it(device: Memristor) -> None:
    below = replace(device, bias_voltage_min=-0.3 * volt, decay_min=0.0075)
    clock = Clock(50 * ms)
    pre = st_hebb.get_presynaptic(1, below, 50 * ms, clock=clock)
    post = st_hebb.get_postsynaptic(1, below, 50 * ms, clock=clock)
    synapses = st_hebb.get_synapses(pre, post, below)
    st_hebb.apply_bias(synapses, below, bias_voltage=-0.3 * volt)
    synapses.F = 1
    Network(pre, post, synapses).run(100 * ms, namespace={})
    decay = 1 / (1 + np.exp(0.6 / 0.12283266696153589))
    np.testing.assert_allclose(synapses.F_now[:], decay**2, rtol=1e-12)


@PROPERTY
@given(seed=st.integers(0, 2**32 - 1), split=st.integers(1, 9), voltage=st.floats(0, 0.6))
def test_energies_add_up_over_any_split_of_time(
    stored: Callable[[], Bench], device: Memristor, seed: int, split: int, voltage: float
) -> None:
    def spent(cuts: list[int]) -> Array:
        rng = np.random.default_rng(seed)
        b = stored()
        st_hebb.apply_bias(b.synapses, device, bias_voltage=voltage * volt, weight=0.2, gamma=0.03)
        feed = steps(rng, 10)
        for start, stop in zip([0, *cuts], [*cuts, 10], strict=True):
            b.run(feed[start:stop])
            st_hebb.apply_bias(b.synapses, device)
        terms = [getattr(b.synapses, name)[:] / joule for name in ("E_pulse", "E_bias", "E_read")]
        assert all((term >= 0).all() for term in terms)
        return np.array(terms)

    # settling re-adds a few products: 10 steps of 2^-53 each, times a margin
    np.testing.assert_allclose(spent([split]), spent([]), rtol=1e-13)


def test_bias_changed_between_events(
    device: Memristor, numbers: oracles.Device, stored: Callable[[], Bench]
) -> None:
    b = stored()
    st_hebb.apply_bias(b.synapses, device, bias_voltage=0.6 * volt, weight=0.5, gamma=0.1)
    quiet = (np.zeros(N_PRE), np.zeros(N_POST))
    b.run([(np.ones(N_PRE), np.ones(N_POST)), quiet, quiet])
    before = float(b.synapses.F_now[0])
    st_hebb.apply_bias(b.synapses, device, bias_voltage=0.1 * volt)
    assert float(b.synapses.F_now[0]) == before
    b.run([quiet] * 4)

    def tau(voltage: float) -> float:
        return 0.05 / np.log1p(np.exp((0.3 - voltage) / 0.12283266696153589))

    energy = 0.6**2 * (numbers.g_offset + numbers.kappa * 0.5) * 0.05
    trace = 0.1
    for duration, voltage in ((0.1, 0.6), (0.2, 0.1)):
        trace, more = oracles.held_synapse(duration, trace, 0.5, voltage, tau(voltage), numbers)
        energy += more
    assert float(b.synapses.F_now[0]) == pytest.approx(trace, rel=1e-10)
    assert float(b.synapses.E_bias[0] / joule) == pytest.approx(energy, rel=1e-9)


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("rk2", 2), ("rk4", 4)])
def test_clock_driven_form_converges_to_the_event_driven_one(
    device: Memristor, method: str, order: int
) -> None:
    rng = np.random.default_rng(3)
    voltages = rng.uniform(0, 0.6, PER_SYNAPSE) * volt
    weight, gamma = rng.uniform(-1, 1, PER_SYNAPSE), rng.uniform(-0.1, 0.1, PER_SYNAPSE)
    feed = steps(rng, 6)

    def measure(form: str, substeps: int) -> tuple[Array, Array]:
        b = bench(device, form, method, substeps)
        if form == "event-driven":
            st_hebb.apply_bias(
                b.synapses, device, bias_voltage=voltages, weight=weight, gamma=gamma
            )
            b.run(list(feed))
            return b.synapses.F_now[:], b.synapses.E_bias[:] / joule
        b.synapses.V_bias, b.synapses.W, b.synapses.Gamma = voltages, weight, gamma
        b.run(list(feed))
        return b.synapses.F[:], b.synapses.E_bias[:] / joule

    exact = measure("event-driven", 1)
    substeps = np.array([16, 32, 64])
    errors = np.array(
        [
            [
                np.abs(got - want).max() / np.abs(want).max()
                for got, want in zip(measure("clock-driven", int(n)), exact, strict=True)
            ]
            for n in substeps
        ]
    )
    measured = -np.diff(np.log2(errors), axis=0)
    # halving the step divides the error by 2^order, up to the next order's share
    np.testing.assert_allclose(measured, order, atol=0.25)


def test_apply_bias_refuses_and_changes_nothing(
    device: Memristor, stored: Callable[[], Bench]
) -> None:
    b = stored()
    st_hebb.apply_bias(b.synapses, device, bias_voltage=0.2 * volt, weight=0.1, gamma=0.01)
    with pytest.raises(ValueError, match=r"weight must lie in .* got values from 9 to 9"):
        st_hebb.apply_bias(b.synapses, device, bias_voltage=0.3 * volt, weight=9.0)
    with pytest.raises(ValueError, match=r"bias_voltage must lie in .* got -100\. mV"):
        st_hebb.apply_bias(b.synapses, device, bias_voltage=-0.1 * volt, weight=0.5)
    with pytest.raises(ValueError, match="gamma must be finite"):
        st_hebb.apply_bias(b.synapses, device, bias_voltage=0.3 * volt, gamma=np.nan)
    with pytest.raises(DimensionMismatchError):
        st_hebb.apply_bias(b.synapses, device, bias_voltage=0.3 * second)
    assert (b.synapses.V_bias[:] == 0.2 * volt).all()
    assert (b.synapses.W[:] == 0.1).all()
    assert (b.synapses.Gamma[:] == 0.01).all()


def test_equations_carry_physical_units() -> None:
    dimensions = {name: eq.dim for name, eq in st_hebb.EVENT_DRIVEN.items()}
    assert dimensions["V_bias"] == volt.dim
    assert dimensions["G"] == siemens.dim
    assert dimensions["tau"] == second.dim
    assert dimensions["E_bias"] == dimensions["E_pulse"] == dimensions["E_read"] == joule.dim
