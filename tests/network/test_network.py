"""The Brian2 network against the plain recursion and against Brian2's own run loop."""

from dataclasses import replace

import numpy as np
import oracles
import pytest
import torch
from brian2 import EventMonitor, NetworkOperation, prefs
from brian2.units import DimensionMismatchError, Quantity, amp, joule, ms, second, volt
from numpy.typing import NDArray

from mstpn.network.brian import LayerParameters, MSTPNNetwork
from mstpn.network.normalisation import normalise
from mstpn.network.step_time import StepTime
from mstpn.network.twin.layer import STHebbLayer, TwinConfig
from mstpn.synapses.joules import Charges
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.write_limits import WriteLimits

Array = NDArray[np.float64]
T_STEP = 50 * ms
N_FEATURES, N_HIDDEN = 30, 7


@pytest.fixture(scope="session")
def device() -> Memristor:
    """Its Lambda refers to the step of these tests."""
    return Memristor.from_file().varied(decay_duration=T_STEP)


def parameters(seed: int = 0, normalisation: str = "none") -> LayerParameters:
    rng = np.random.default_rng(seed)
    shape = (N_HIDDEN, N_FEATURES + N_HIDDEN)
    return LayerParameters(
        weight=rng.uniform(-0.5, 0.5, shape),
        decay=rng.uniform(0.08, 0.92, shape),
        gamma=rng.uniform(-0.05, 0.05, shape),
        bias=rng.uniform(-0.1, 0.1, N_HIDDEN),
        normalisation=normalisation,
    )


def frames(n: int, seed: int = 1, active: float = 0.3) -> Array:
    rng = np.random.default_rng(seed)
    shape = (n, N_FEATURES)
    return rng.exponential(size=shape) * (rng.random(shape) < active)


def bare_voltage(decay: Array) -> Array:
    return 0.3 + 0.12283266696153589 * np.log(decay / (1 - decay))


@pytest.mark.parametrize("target", ["cython", "numpy"])
def test_network_equals_the_recursion_with_its_energies(
    target: str, device: Memristor, numbers: oracles.Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(prefs, "codegen.target", target)
    p = parameters()
    net = MSTPNNetwork(p, device, T_STEP)
    recursion = oracles.Recursion(p.weight, p.decay, p.gamma, p.bias)
    for x in frames(80):
        h = net.step(x)
        expected = recursion.step_with_energy(x, numbers, bare_voltage(p.decay), 0.05)
        # F differs by rounding of exp and log; feedback through h keeps it below 1e-12
        np.testing.assert_allclose(h, expected, rtol=0, atol=1e-12)
    last_pulse = recursion.pulse_j
    net.step(np.zeros(N_FEATURES))
    assert float(net.energy()["pulse"] / joule) == pytest.approx(last_pulse, rel=1e-11)
    recursion.step_with_energy(np.zeros(N_FEATURES), numbers, bare_voltage(p.decay), 0.05)
    assert float(net.energy()["bias"] / joule) == pytest.approx(recursion.bias_j, rel=1e-11)
    assert float(net.energy()["read"] / joule) == pytest.approx(recursion.read_j, rel=1e-11)
    assert float(net.time / ms) == pytest.approx(81 * 50)


def test_another_step_is_another_lambda_on_the_same_device(numbers: oracles.Device) -> None:
    device, step = Memristor.from_file(), 0.02
    low, high = device.decay_range(step * second)
    p = parameters()
    p = replace(p, decay=np.clip(p.decay, low, high))
    assert ((low < p.decay) & (p.decay < high)).sum() > 100
    net = MSTPNNetwork(p, device, step * second)
    voltage = bare_voltage(p.decay ** (1 / 15 / step))  # Lambda of the file refers to 1/15 s
    recursion = oracles.Recursion(p.weight, p.decay, p.gamma, p.bias)
    for x in [*frames(40), np.zeros(N_FEATURES)]:
        h = net.step(x)
        expected = recursion.step_with_energy(x, numbers, voltage, step)
        np.testing.assert_allclose(h, expected, rtol=0, atol=1e-12)
    # the voltage's power of 3.3 multiplies rounding of Lambda
    assert float(net.energy()["bias"] / joule) == pytest.approx(recursion.bias_j, rel=1e-10)
    with pytest.raises(ValueError, match=r"decay must lie in \[0\.46\d*, 0\.97\d*\], got 0\.2"):
        MSTPNNetwork(replace(p, decay=np.full_like(p.decay, 0.2)), device, step * second)


@pytest.mark.parametrize("target", ["cython", "numpy"])
def test_limited_pulses_equal_the_limited_recursion(
    target: str, device: Memristor, numbers: oracles.Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(prefs, "codegen.target", target)
    limits = WriteLimits(0.004, 0.03, -0.48, 0.46)
    p = parameters(8)
    p = replace(p, weight=0.9 * p.weight, limits=limits)
    net = MSTPNNetwork(p, device, T_STEP)
    bare = (0.004, 0.03, -0.48, 0.46)
    recursion = oracles.LimitedRecursion(p.weight, p.decay, p.gamma, p.bias, limits=bare, d=numbers)
    settled = MSTPNNetwork(p, device, T_STEP)
    bias_j = 0.0
    for x in frames(60):
        held = recursion.short_term * 0.05 * (1 - p.decay) / np.log(1 / p.decay)
        conductance = (numbers.g_offset + numbers.kappa * p.weight) * 0.05 + numbers.kappa * held
        bias_j += float((bare_voltage(p.decay) ** 2 * conductance).sum())
        settled.step(x)
        np.testing.assert_allclose(net.step(x), recursion.step(x), rtol=0, atol=1e-12)
    last_pulse = recursion.pulse_j
    net.step(np.zeros(N_FEATURES))
    assert float(net.energy()["pulse"] / joule) == pytest.approx(last_pulse, rel=1e-11)
    assert float(settled.energy()["bias"] / joule) == pytest.approx(bias_j, rel=1e-11)


def test_worst_case_bias_is_the_largest_voltage_on_every_synapse(
    device: Memristor, numbers: oracles.Device
) -> None:
    p = parameters(2)
    net = MSTPNNetwork(p, device, T_STEP)
    recursion = oracles.Recursion(p.weight, p.decay, p.gamma, p.bias)
    for x in frames(12):
        net.step(x)
        recursion.step_with_energy(x, numbers, np.full(p.weight.shape, 0.6), 0.05)
    spent = net.energy(worst_case=True)["bias"]
    assert float(spent / joule) == pytest.approx(recursion.bias_j, rel=1e-11)


def test_l2_normalised_network_equals_the_recursion(device: Memristor) -> None:
    p = parameters(3, "l2")
    net = MSTPNNetwork(p, device, T_STEP)
    trace, h = np.zeros_like(p.weight), np.zeros(N_HIDDEN)
    for x in frames(30):
        z = np.concatenate([x, h])
        z /= np.sqrt((z**2).sum())
        h = np.tanh((p.weight + trace) @ z + p.bias)
        trace = p.decay * trace + p.gamma * np.outer(h, z)
        np.testing.assert_allclose(net.step(x), h, rtol=0, atol=1e-12)


def test_step_equals_brian2s_own_run_loop(device: Memristor) -> None:
    p, feed = parameters(4), frames(15)
    stepped = MSTPNNetwork(p, device, T_STEP)
    ours = np.array([stepped.step(x) for x in feed])

    long = MSTPNNetwork(p, device, T_STEP)
    outputs: list[Array] = []

    def present(t: Quantity) -> None:
        index = round(float(t / T_STEP))
        pre, h = long.presynaptic, long.neurons.h[:]
        pre.z_last = pre.z[:]
        pre.z = np.concatenate([feed[index], h])
        long.neurons.z_total = np.sum(pre.z[:])

    long.net.add(
        NetworkOperation(present, clock=long.clock, when="before_start", order=-1),
        NetworkOperation(
            lambda: outputs.append(long.neurons.h[:].copy()), clock=long.clock, when="end"
        ),
    )
    long.net.run(15 * T_STEP)
    np.testing.assert_array_equal(ours, outputs)
    for term, energy in stepped.energy().items():
        assert float(energy) == float(long.energy()[term])


def test_monitors_record_the_graded_events_of_stepped_networks(device: Memristor) -> None:
    net = MSTPNNetwork(parameters(5), device, T_STEP)
    events = EventMonitor(net.presynaptic, "active", variables="z", name="events*")
    net.net.add(events)
    feed = frames(4)
    for x in feed:
        net.step(x)
    from_features = events.i[:] < N_FEATURES
    recorded = np.zeros_like(feed)
    when = np.round(events.t[:][from_features] / T_STEP).astype(int)
    recorded[when, events.i[:][from_features]] = events.z[:][from_features]
    np.testing.assert_array_equal(recorded, feed)


def test_held_bias_changes_the_decay_from_then_on(device: Memristor) -> None:
    p = parameters(6)
    net = MSTPNNetwork(p, device, T_STEP)
    recursion = oracles.Recursion(p.weight, p.decay, p.gamma, p.bias)
    for k, x in enumerate(frames(20)):
        if k == 10:
            net.hold(0.6 * volt)
            # the bias of step k - 1 is held until step k begins
            recursion.decay = np.full_like(p.decay, 0.92)
        np.testing.assert_allclose(net.step(x), recursion.step(x), rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match=r"bias_voltage must lie in"):
        net.hold(0.61 * volt)
    with pytest.raises(DimensionMismatchError):
        net.hold(0.6 * amp)


def test_same_input_same_joules_after_reset_and_in_a_new_network(device: Memristor) -> None:
    def run(net: MSTPNNetwork) -> list[float]:
        outputs = [net.step(x) for x in frames(10)]
        return [*np.ravel(outputs), *(float(e) for e in net.energy().values()), float(net.time)]

    used = MSTPNNetwork(parameters(7), device, T_STEP)
    first = run(used)
    used.hold(0.5 * volt)
    used.reset()
    assert run(used) == first
    assert run(MSTPNNetwork(parameters(7), device, T_STEP)) == first


def test_bad_input_is_refused(device: Memristor) -> None:
    p = parameters()
    net = MSTPNNetwork(p, device, T_STEP)
    with pytest.raises(ValueError, match=r"features must have shape \(30,\), got \(31,\)"):
        net.step(np.zeros(31))
    with pytest.raises(ValueError, match="features must be finite"):
        net.step(np.full(30, np.nan))
    with pytest.raises(ValueError, match=r"decay must have shape \(7, 37\), got \(7, 36\)"):
        replace(p, decay=p.decay[:, 1:])
    with pytest.raises(ValueError, match="gamma must be finite"):
        replace(p, gamma=p.gamma * np.inf)
    with pytest.raises(ValueError, match=r"weight must be \(N, M\) with M > N"):
        replace(p, weight=p.weight.T)
    with pytest.raises(ValueError, match=r"in the window of the limits, -0\.1 to 5, got"):
        replace(p, limits=WriteLimits(total_min=-0.1, total_max=5))
    with pytest.raises(ValueError, match="normalisation must be one of none, l2, got 'l1'"):
        replace(p, normalisation="l1")
    with pytest.raises(ValueError, match=r"decay must lie in \[0\.08, 0\.92\], got 0\.99"):
        MSTPNNetwork(replace(p, decay=np.full_like(p.decay, 0.99)), device, T_STEP)
    with pytest.raises(ValueError, match=r"weight must lie in .*, the device's conductance window"):
        MSTPNNetwork(replace(p, weight=p.weight * 20), device, T_STEP)


def test_normalise() -> None:
    np.testing.assert_allclose(normalise(np.array([3.0, -4.0]), "l2"), [0.6, -0.8], rtol=1e-15)
    np.testing.assert_array_equal(normalise(np.array([3.0, -4.0]), "none"), [3, -4])
    np.testing.assert_array_equal(normalise(np.zeros(3), "l2"), np.zeros(3))


@pytest.mark.parametrize("target", ["cython", "numpy"])
def test_without_feedback_f_is_the_only_memory(
    target: str, device: Memristor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(prefs, "codegen.target", target)
    p, n = parameters(), N_FEATURES
    p = replace(p, weight=p.weight[:, :n], decay=p.decay[:, :n], gamma=p.gamma[:, :n],
                feedback=False)  # fmt: skip
    net = MSTPNNetwork(p, device, T_STEP)
    assert len(net.presynaptic) == p.n_features == n
    trace = np.zeros_like(p.weight)
    for x in frames(60):
        expected = np.tanh((p.weight + trace) @ x + p.bias)
        np.testing.assert_allclose(net.step(x), expected, rtol=0, atol=1e-12)
        trace = p.decay * trace + p.gamma * np.outer(expected, x)
    forgetful = MSTPNNetwork(replace(p, gamma=np.zeros_like(p.gamma)), device, T_STEP)
    for x in frames(20):
        np.testing.assert_allclose(forgetful.step(x), np.tanh(p.weight @ x + p.bias), atol=1e-12)


def test_rows_and_time_of_a_step_by_hand(device: Memristor) -> None:
    limits = WriteLimits(0.02, 0.05)
    gamma = np.zeros((2, 5))
    gamma[0] = [0.01, 0.03, 0.02, 0.0, 0.5]
    gamma[1] = [0.04, 0.01, 0.01, 0.3, 0.0]
    p = LayerParameters(
        np.zeros((2, 5)), np.full((2, 5), 0.5), gamma, np.array([50.0, -50.0]), "none", limits
    )
    net = MSTPNNetwork(p, device, T_STEP)
    used = StepTime.of(net)
    # |h| = 1: rows 0 to 4 want at most 0.04, 0.03, 0.02, 0.3 and 0.5, times |z|
    rows: list[float] = []
    for x in ([0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.4, 0.9, 0.0], [0.0, 0.0, 0.9]):
        h = net.step(np.array(x))
        used.observe(net.z, h)
        before = used.totals[1]
        rows.append(before - sum(rows))
    # from the second step on h is fed back, and both recurrent rows are written
    assert rows == [0, 3 + 2, 1 + 2, 0 + 2]
    found = used.summary()
    assert found["rows_mean"] == pytest.approx(10 / 4)
    assert found["rows_max"] == 5
    # 100 us a row, 1 us for the largest |z| = 1; at the last steps it is h that is 1
    assert found["time_max"] == pytest.approx((5 * 100e-6 + 1e-6) / 0.05)
    assert found["time_mean"] == pytest.approx((10 * 100e-6 + 3 * 1e-6) / 4 / 0.05)


@pytest.mark.parametrize("limited", [False, True])
def test_joules_of_the_training_are_those_of_the_network(limited: bool, device: Memristor) -> None:
    p = parameters()
    limits = replace(device.write_limits(), delta_f_max=0.06) if limited else None
    p = replace(p, gamma=4 * p.gamma, limits=limits)
    layer = STHebbLayer(N_FEATURES, TwinConfig(N_HIDDEN, 6, "none", 0.08, 0.92, limits)).double()
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(p.weight))
        layer.gamma.copy_(torch.from_numpy(p.gamma))
        layer.bias.copy_(torch.from_numpy(p.bias))
        layer.decay_logit.copy_(torch.logit((torch.from_numpy(p.decay) - 0.08) / 0.84))
    x, n = frames(40), 40
    inputs = torch.from_numpy(x)[:, None]
    charges = Charges.of(device, T_STEP).bare()
    ones = torch.ones(n, 1, dtype=torch.float64)
    _, _, spent = layer.spend(inputs, layer.initial_state(1), ones, charges)
    net = MSTPNNetwork(p, device, T_STEP)
    for row in x:
        net.step(row)
    energy = {term: float(e / joule) for term, e in net.energy().items()}
    net.step(np.zeros(N_FEATURES))  # the last step's pulses
    energy["pulse"] = float(net.energy()["pulse"] / joule)
    got = {term: n * float(e.detach()) for term, e in spent.joules.items()}
    # sums of 10^4 terms whose F agree to 1e-12
    assert got == pytest.approx(energy, rel=1e-10)
