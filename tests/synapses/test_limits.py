"""Extremes of voltage, input and time: everything stays finite and in range, energies rise."""

from dataclasses import replace

import numpy as np
import pytest
from brian2.units import joule, ms, volt
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mstpn.network.brian import LayerParameters, MSTPNNetwork
from mstpn.network.saturation import Saturation
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.state import StateError
from mstpn.synapses.write_limits import WriteLimits

Array = NDArray[np.float64]
T_STEP = 50 * ms
N_HIDDEN, N_FEATURES = 3, 4
SHAPE = (N_HIDDEN, N_FEATURES + N_HIDDEN)
DAY_STEPS = 24 * 3600 * 20

extreme_decays = st.lists(st.sampled_from([0.08, 0.08000001, 0.5, 0.92]), min_size=21, max_size=21)
inputs = st.lists(
    st.sampled_from([0.0, 1e-300, 1e-9, 1.0, 30.0, 1e6]), min_size=N_FEATURES, max_size=N_FEATURES
)
trains = st.lists(
    st.tuples(inputs, st.sampled_from([1, 1, 2, DAY_STEPS, 30 * DAY_STEPS])),
    min_size=3,
    max_size=6,
)


@pytest.fixture(scope="session")
def device() -> Memristor:
    """Its Lambda refers to the step of these tests."""
    return Memristor.from_file().varied(decay_duration=T_STEP)


@pytest.fixture(scope="module")
def network(device: Memristor) -> MSTPNNetwork:
    """Compiled once; each example programs and resets it."""
    zeros = np.zeros(SHAPE)
    return MSTPNNetwork(
        LayerParameters(zeros, zeros + 0.5, zeros, np.zeros(N_HIDDEN), "none"), device, T_STEP
    )


@pytest.fixture(scope="module")
def limited_network(device: Memristor) -> MSTPNNetwork:
    limits = device.write_limits(smallest=False)
    zeros = np.zeros(SHAPE)
    p = LayerParameters(zeros, zeros + 0.92, zeros + 0.5, np.zeros(N_HIDDEN), "none", limits)
    return MSTPNNetwork(p, device, T_STEP)


def wait(network: MSTPNNetwork, steps: int) -> None:
    """Let time pass without a visit to any synapse, as silent steps do."""
    state = network.state()
    state["timestep"] = state["timestep"] + steps
    network.restore(state)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
)
@given(decay=extreme_decays, train=trains, gamma=st.sampled_from([0.0, 1e-12, 0.1, -0.1, 3.0]))
def test_extremes_stay_finite_and_in_range(
    decay: list[float],
    train: list[tuple[list[float], int]],
    gamma: float,
    network: MSTPNNetwork,
    device: Memristor,
) -> None:
    network.reset()
    state = network.state()
    lam = np.array(decay)
    voltage = np.clip(0.3 + 0.12283266696153589 * np.log(lam / (1 - lam)), 0, 0.6)
    network.restore(state)
    network.hold(voltage * volt)
    network.synapses.Gamma = gamma
    network.synapses.E_unit = "E_0*(abs(Gamma)/dF_0)**energy_exponent"
    saturation, below = Saturation(network, every=1), False
    spent = np.zeros(2)
    bound = np.zeros(21)
    for x, gap in train:
        h = network.step(np.array(x))
        assert np.isfinite(h).all()
        assert (np.abs(h) <= 1).all()
        wait(network, gap - 1)
        synapses = network.synapses
        below = below or bool((synapses.W[:] + synapses.F[:] < device.weight_min).any())
        saturation.observe(network.z, h)
        # beyond its window the linear conductance falls below zero: that is never silent
        assert below <= (saturation.shares()["totals_outside_window"] > 0)
        now = np.array([float(np.sum(e[:] / joule)) for e in (synapses.E_pulse, synapses.E_read)])
        assert np.isfinite(now).all()
        assert now[0] >= spent[0]
        assert below or now[1] >= spent[1]
        spent = now
        # at most one pulse of |Gamma h z| a step, and decay never adds
        trace = network.synapses.F_now[:]
        assert (np.abs(trace) <= bound * (1 + 1e-12)).all()
        bound = bound + abs(gamma) * np.repeat(np.abs(network.z), N_HIDDEN)
    assert np.isfinite(network.synapses.E_bias[:]).all()
    assert np.isfinite(network.synapses.G[:]).all()
    wait(network, 30 * DAY_STEPS)
    # F/F_0 = Lambda^(5e7 steps) is 0, so nothing but W is left, which is 0 here
    assert (network.synapses.F_now[:] == 0).all()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(train=trains)
def test_bias_energy_only_rises_while_conductances_are_positive(
    train: list[tuple[list[float], int]], limited_network: MSTPNNetwork, device: Memristor
) -> None:
    net = limited_network
    net.reset()
    limits = net.parameters.limits
    assert limits is not None
    before = np.zeros(21)
    for x, gap in train:
        net.step(np.array(x))
        wait(net, gap - 1)
        bias = np.asarray(net.synapses.E_bias[:] / joule)
        floor = float(device.conductance_min * device.bias_voltage_max**2 * T_STEP / joule)
        # its window holds G at conductance_min or above, so no synapse spends less than that
        assert (
            bias - before >= gap * floor * 0.999 * (net.synapses.V_bias[:] / (0.6 * volt)) ** 2
        ).all()
        before = bias
        total = np.asarray(net.synapses.W[:] + net.synapses.F_now[:])
        assert (total >= limits.total_min - 1e-12).all()
        assert (total <= limits.total_max + 1e-12).all()


def parameters(weight: float, gamma: float, bias: float) -> LayerParameters:
    full = np.ones(SHAPE)
    return LayerParameters(weight * full, 0.5 * full, gamma * full, np.full(N_HIDDEN, bias), "none")


def shares(p: LayerParameters, device: Memristor, steps: int = 16) -> dict[str, float]:
    net = MSTPNNetwork(p, device, T_STEP)
    saturation = Saturation(net)
    for _ in range(steps + 1):
        h = net.step(np.ones(N_FEATURES))
        saturation.observe(net.z, h)
    return saturation.shares()


def test_a_quiet_network_meets_no_limit(device: Memristor) -> None:
    assert set(shares(parameters(0.01, 0.001, 0.0), device).values()) == {0.0}


def test_saturations_are_counted(device: Memristor) -> None:
    # tanh(20) is 1; its updates 0.2 are twice the largest pulse's 0.1; F comes to rest at 0.4
    found = shares(parameters(0.0, 0.2, 20.0), device)
    assert found["h_saturated"] == 1
    # the first of the two samples is of the first step, whose h(t-1) inputs are silent
    assert found["updates_above_largest_pulse"] == 1
    assert found["totals_outside_window"] == 0
    # W = 4.8 is the window's top but 0.006: F = 0.4 leaves it, though not before a first pulse
    found = shares(parameters(4.8, 0.2, 20.0), device)
    assert found["totals_outside_window"] == pytest.approx(0.5)


def test_cut_updates_and_the_ends_of_the_window_are_counted(device: Memristor) -> None:
    limits = WriteLimits(0.0, 0.05, -1.0, 0.08)
    found = shares(replace(parameters(0.0, 0.2, 20.0), limits=limits), device)
    assert found["updates_above_largest_pulse"] == 1
    assert found["totals_outside_window"] == pytest.approx(0.5)  # F = 0.08 at the second sample


def test_a_state_with_infinity_is_refused(network: MSTPNNetwork) -> None:
    state = network.state()
    state["synapses.F"][0] = np.inf
    with pytest.raises(StateError, match=r"synapses\.F must be finite"):
        network.restore(state)
