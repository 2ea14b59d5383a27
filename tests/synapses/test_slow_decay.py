"""Decay with two exponentials: SciPy, a recursion of its own, Brian2 and the torch twin."""

from dataclasses import astuple, replace

import numpy as np
import oracles
import pytest
import torch
from brian2 import Clock, prefs
from brian2.units import joule, ms, volt
from numpy.typing import NDArray

from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.checkpoints import DEFAULT_CHECKPOINT
from mstpn.bridge.pong import Pong
from mstpn.bridge.twin_agent import TwinAgent
from mstpn.network.brian import LayerParameters, MSTPNNetwork
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.checkpoint import load_checkpoint
from mstpn.network.twin.layer import STHebbLayer, TwinConfig
from mstpn.synapses import st_hebb
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import Nonidealities
from mstpn.synapses.write_limits import WriteLimits

Array = NDArray[np.float64]
T, N_IN, N = 40, 6, 4
M = N_IN + N
T_S = 0.05
SLOW = Nonidealities(slow_fraction=0.3, slow_tau_ratio=7.0)
LIMITS = WriteLimits(0.004, 0.06, -0.6, 0.6)
SLOPE = 0.12283266696153589
"""V_slope in volt, from Lambda(0 V) = 0.08 and V_half = 0.3 V: 0.3 / ln(0.92 / 0.08)."""


@pytest.fixture(scope="session")
def device() -> Memristor:
    """Its Lambda refers to the step of these tests."""
    return Memristor.from_file().varied(decay_duration=T_S * 1000 * ms)


def parameters(limits: WriteLimits | None = None) -> LayerParameters:
    rng = np.random.default_rng(0)
    return LayerParameters(
        weight=rng.uniform(-0.5, 0.5, (N, M)),
        decay=rng.uniform(0.1, 0.9, (N, M)),
        gamma=rng.uniform(-0.08, 0.08, (N, M)),
        bias=rng.uniform(-0.1, 0.1, N),
        normalisation="none",
        limits=limits,
    )


def frames() -> Array:
    rng = np.random.default_rng(1)
    return rng.normal(size=(T, N_IN)) * (rng.random((T, N_IN)) < 0.4)


def recursion(p: LayerParameters, d: oracles.Device) -> oracles.SlowRecursion:
    return oracles.SlowRecursion(
        *(p.weight, p.decay, p.gamma, p.bias),
        share=SLOW.slow_fraction,
        ratio=SLOW.slow_tau_ratio,
        limits=astuple(p.limits or WriteLimits()),
        d=d,
        volt=0.3 + SLOPE * np.log(p.decay / (1 - p.decay)),
        second=T_S,
    )


def layer(p: LayerParameters, normalisation: str = "none") -> STHebbLayer:
    made = STHebbLayer(N_IN, TwinConfig(N, 3, normalisation, 0.08, 0.92, p.limits)).double()
    with torch.no_grad():
        made.weight.copy_(torch.from_numpy(p.weight))
        made.decay_logit.copy_(torch.logit((torch.from_numpy(p.decay) - 0.08) / 0.84))
        made.gamma.copy_(torch.from_numpy(p.gamma))
        made.bias.copy_(torch.from_numpy(p.bias))
    return made


def on_devices(p: LayerParameters, device: Memristor, like: Nonidealities = SLOW) -> STHebbLayer:
    made = layer(p)
    made.put_on(like.draw((M, N), device))
    return made


def as_matrix(values: Array) -> Array:
    """(N, M) of an array in the order of the synapses."""
    return np.asarray(values).reshape(M, N).T


def test_both_parts_and_the_bias_energy_against_scipy(
    device: Memristor, numbers: oracles.Device
) -> None:
    p = parameters()
    net = MSTPNNetwork(p, device, T_S * 1000 * ms, SLOW)
    volts = 0.3 + SLOPE * np.log(p.decay / (1 - p.decay))
    other = np.linspace(0, 0.6, M * N)
    history = []
    for t, x in enumerate(frames()[:8]):
        if t == 5:
            net.hold(other * volt)
        history.append((net.step(x), net.z.copy()))
    s = net.synapses
    found = [as_matrix(v) for v in (s.F_now[:], s.F_slow_now[:], s.E_bias[:] / joule)]
    for i, j in np.ndindex(N, M):
        parts, energy = [0.0, 0.0], 0.0
        for t in range(8):
            if t:
                h, z = history[t - 1]
                update = float(p.gamma[i, j] * h[i] * z[j])
                parts = [parts[0] + 0.7 * update, parts[1] + 0.3 * update]
            held_at = float(volts[i, j] if t < 5 else other[j * N + i])
            tau = T_S / float(np.log1p(np.exp((0.3 - held_at) / SLOPE)))
            parts, spent = oracles.held_parts(
                T_S, parts, float(p.weight[i, j]), held_at, [tau, 7 * tau], numbers
            )
            energy += spent
        # SciPy's own tolerance is 1e-12 an interval, of which there are 8
        assert found[0][i, j] == pytest.approx(parts[0], rel=1e-9, abs=1e-12)
        assert found[1][i, j] == pytest.approx(parts[1], rel=1e-9, abs=1e-12)
        assert found[2][i, j] == pytest.approx(energy, rel=1e-9, abs=1e-22)


@pytest.mark.parametrize("limits", [None, LIMITS])
@pytest.mark.parametrize("target", ["cython", "numpy"])
def test_brian2_equals_the_recursion(
    target: str,
    limits: WriteLimits | None,
    device: Memristor,
    numbers: oracles.Device,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(prefs, "codegen.target", target)
    p = parameters(limits)
    net = MSTPNNetwork(p, device, T_S * 1000 * ms, SLOW)
    expected = recursion(p, numbers)
    for x in frames():
        before = expected.pulse_j
        # feedback through h keeps rounding below 1e-12
        np.testing.assert_allclose(net.step(x), expected.step(x), rtol=0, atol=1e-12)
    # the pulses of the last step come with the next
    spent = {"pulse": before, "bias": expected.bias_j, "read": expected.read_j}
    for term, energy in net.energy().items():
        assert float(energy / joule) == pytest.approx(spent[term], rel=1e-11)
    worst = recursion(p, numbers)
    worst.volt = np.full((N, M), 0.6)
    for x in frames():
        worst.step(x)
    at_worst = net.energy(worst_case=True)["bias"]
    assert float(at_worst / joule) == pytest.approx(worst.bias_j, rel=1e-11)
    net.step(np.zeros(N_IN))
    scale = p.decay ** (1 / SLOW.slow_tau_ratio)
    total = expected.short_term * p.decay + expected.slow * scale
    np.testing.assert_allclose(as_matrix(net.short_term), total, rtol=0, atol=1e-12)


@pytest.mark.parametrize("limits", [None, LIMITS])
def test_twin_equals_the_recursion(
    limits: WriteLimits | None, device: Memristor, numbers: oracles.Device
) -> None:
    p = parameters(limits)
    made, expected = on_devices(p, device), recursion(p, numbers)
    x = torch.from_numpy(frames())[:, None]
    keep = torch.ones(T, 1, dtype=torch.float64)
    h, state = made(x, made.initial_state(1), keep)
    np.testing.assert_allclose(
        h[:, 0].detach(), [expected.step(f) for f in frames()], rtol=0, atol=1e-12
    )
    for part, right in zip(
        state.short_term[0].detach(), (expected.short_term, expected.slow), strict=True
    ):
        np.testing.assert_allclose(part, right, rtol=0, atol=1e-12)
    total = expected.short_term + expected.slow
    np.testing.assert_allclose(state.in_all[0].detach(), total, rtol=0, atol=1e-12)


def test_gradients_are_those_of_finite_differences(device: Memristor) -> None:
    made = on_devices(parameters(), device)
    x = torch.from_numpy(frames()[:10])[:, None].repeat(1, 2, 1)
    keep = torch.ones(10, 2, dtype=torch.float64)
    keep[4, 1] = 0

    def loss() -> torch.Tensor:
        h, state = made(x, made.initial_state(2), keep)
        return h.square().sum() + state.in_all.sum()

    wanted = list(made.parameters())
    gradients = torch.autograd.grad(loss(), wanted)
    generator = torch.Generator().manual_seed(2)
    for parameter, gradient in zip(wanted, gradients, strict=True):
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        ends = []
        with torch.no_grad():
            for sign in (1, -2, 1):
                parameter.add_(sign * 1e-5 * direction)
                ends.append(float(loss()))
        slope = (ends[0] - ends[1]) / 2e-5
        # central differences: third derivatives times 1e-10, rounding 1e-16 / 1e-5
        assert slope == pytest.approx(float((gradient * direction).sum()), rel=1e-6, abs=1e-8)


def test_a_new_game_starts_with_both_parts_at_zero(device: Memristor) -> None:
    made = on_devices(parameters(), device)
    x = torch.from_numpy(frames())[:, None]
    keep = torch.ones(T, 1, dtype=torch.float64)
    keep[25] = 0
    whole, _ = made(x, made.initial_state(1), keep)
    second, _ = made(x[25:], made.initial_state(1), keep[25:])
    np.testing.assert_array_equal(whole[25:].detach(), second.detach())


def test_the_total_stays_in_the_window_between_pulses_of_both_signs(device: Memristor) -> None:
    limits = WriteLimits(total_min=-0.6, total_max=0.6)
    p = parameters(limits)
    p = replace(p, gamma=20 * p.gamma)
    net = MSTPNNetwork(p, device, T_S * 1000 * ms, SLOW)
    weight = p.weight.T.ravel()
    opposed = at_end = 0
    for x in frames():
        net.step(x)
        fast, slow = net.synapses.F_now[:], net.synapses.F_slow_now[:]
        # one rounding of numbers below 1.2
        assert np.abs(weight + net.short_term).max() <= 0.6 + 4e-16
        opposed += int((fast * slow < 0).sum())
        # where the fast part is gone first, a slow one alone must fit as well
        at_end += int((np.abs(weight + slow) > 0.55).sum())
    assert opposed > 100
    assert at_end > 100


def test_a_ratio_of_one_is_one_exponential_and_a_share_of_zero_none_at_all(
    device: Memristor,
) -> None:
    p = parameters()
    spread = Nonidealities(delta_f_std=0.2, weight_dtod=0.01, seed=3)
    same = [
        replace(spread, slow_tau_ratio=4.0),
        replace(spread, slow_fraction=0.4, slow_tau_ratio=1.0),
    ]
    plain, zero, one = (MSTPNNetwork(p, device, 50 * ms, s) for s in (spread, *same))
    assert "F_slow" not in zero.synapses.variables
    assert not Nonidealities(slow_tau_ratio=4.0)
    for x in frames():
        h = plain.step(x)
        np.testing.assert_array_equal(zero.step(x), h)
        np.testing.assert_allclose(one.step(x), h, rtol=0, atol=1e-12)
    assert zero.energy() == plain.energy()
    assert float(one.energy()["bias"]) == pytest.approx(float(plain.energy()["bias"]), rel=1e-12)


def test_agents_with_slow_decay_agree(device: Memristor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(prefs, "codegen.target", "cython")
    checkpoint = load_checkpoint(DEFAULT_CHECKPOINT)
    slow = Nonidealities.parse(["slow_fraction=0.3", "half_voltage_dtod=0.01"])
    agent = BrianAgent(checkpoint, device, STEP_DURATION, slow)
    twin, ideal = TwinAgent(checkpoint, device, slow), TwinAgent(checkpoint)
    pong = Pong()
    observation = pong.reset(5)
    for _ in range(60):
        action = agent.step(observation)
        assert twin.step(observation) == action
        ideal.step(observation)
        # 2656 products an output, in another order, fed back over 60 steps
        np.testing.assert_allclose(agent.h, twin.h, rtol=0, atol=1e-9)
        observation, _, _ = pong.step(action)
    assert np.abs(ideal.h - twin.h).max() > 1e-3


def test_what_two_exponentials_cannot_do_is_refused(device: Memristor) -> None:
    made = on_devices(parameters(), device)
    x, keep = torch.zeros(1, 1, N_IN).double(), torch.ones(1, 1).double()
    with pytest.raises(ValueError, match="fused must be False with slow_fraction"):
        made(x, made.initial_state(1), keep, fused=True)
    with pytest.raises(ValueError, match="state must be of the devices that the layer is on"):
        made(x, layer(parameters()).initial_state(1), keep)
    with pytest.raises(ValueError, match="state must be of the devices that the layer is on"):
        layer(parameters())(x, made.initial_state(1), keep)
    with pytest.raises(ValueError, match="slow_fraction must be 0 with the normalisation stpn"):
        layer(parameters(), "stpn").put_on(SLOW.draw((M, N), device))
    pre = st_hebb.get_presynaptic(1, device, 50 * ms, clock=Clock(50 * ms))
    post = st_hebb.get_postsynaptic(1, device, 50 * ms, clock=pre.clock)
    with pytest.raises(ValueError, match="form must be event-driven with slow_fraction, got clock"):
        st_hebb.get_synapses(
            *(pre, post, device),
            form="clock-driven",
            deviations=SLOW.draw((1,), device),
        )
    with pytest.raises(ValueError, match=r"slow_fraction must lie in \[0, 1\], got 1\.5"):
        Nonidealities(slow_fraction=1.5)
    with pytest.raises(ValueError, match=r"slow_tau_ratio must be at least 1, got 0\.5"):
        Nonidealities(slow_tau_ratio=0.5)
