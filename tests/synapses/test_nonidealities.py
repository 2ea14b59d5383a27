"""Devices that differ: their statistics, and every form of the network on the same ones."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import oracles
import pytest
import torch
from brian2 import prefs
from brian2.units import DimensionMismatchError, joule, mvolt, second, volt
from numpy.typing import NDArray

from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.checkpoints import DEFAULT_CHECKPOINT
from mstpn.bridge.conversion import held_parameters
from mstpn.bridge.pong import Pong
from mstpn.bridge.twin_agent import TwinAgent
from mstpn.network.brian import LayerParameters, MSTPNNetwork
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.checkpoint import load_checkpoint
from mstpn.network.twin.layer import CycleNoise, STHebbLayer, TwinConfig
from mstpn.network.twin.step import compiled_step, step_of
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import Deviations, Nonidealities, cycle_noise, noise_level
from mstpn.synapses.write_limits import WriteLimits

Array = NDArray[np.float64]
hour = 3600 * second
T, N_IN, N = 40, 9, 5
KEY = 2**31 - 1
LIMITS = WriteLimits(0.004, 0.03, -0.6, 0.6)
SPREAD = Nonidealities(
    delta_f_std=0.4,
    delta_f_dtod=0.3,
    weight_dtod=0.05,
    half_voltage_dtod=20 * mvolt,
    corrupt_devices_prob=0.1,
    corrupt_devices_range=0.5,
    drift_nu=0.02,
    drift_nu_dtod=0.01,
    t_inference=24 * hour,
    seed=7,
)
ONLY = {
    "delta_f_dtod": 0.3,
    "weight_dtod": 0.05,
    "half_voltage_dtod": 20 * mvolt,
    "corrupt_devices_prob": 0.1,
}


def reference_noise(key: int, step: int, synapse: int) -> float:
    """The hash in Python's own integers, which never overflow."""

    def mixed(x: int) -> int:
        x = (x ^ x >> 16) * 0x21F0AAAD % 2**32
        x = (x ^ x >> 15) * 0x735A2D97 % 2**32
        return x ^ x >> 15

    total = sum(mixed(mixed(mixed(key) ^ step) ^ synapse).to_bytes(4, "little"))
    return (total - 4 * 127.5) / np.sqrt(4 * (256**2 - 1) / 12)


class SpreadRecursion(oracles.Recursion):
    """The recursion on devices that differ, from their formulas, synapse by synapse."""

    def __init__(
        self, p: LayerParameters, deviations: Deviations, std: float, d: oracles.Device
    ) -> None:
        scale, shift, low, high, volt, _, gain = deviations[:7]
        n, m = p.weight.shape
        weight, decay = p.weight.copy(), p.decay.copy()
        self.gain = np.empty((n, m))
        for i, j in np.ndindex(n, m):
            k = j * n + i
            weight[i, j] = min(max(scale[k] * p.weight[i, j] + shift[k], low), high)
            held = bare_voltage(p.decay[i, j]) - volt[k]
            decay[i, j] = 1 / (1 + np.exp((0.3 - held) / SLOPE))
            self.gain[i, j] = gain[k]
        super().__init__(weight, decay, p.gamma, p.bias)
        self.limits, self.std, self.d, self.number = p.limits or WriteLimits(), std, d, 0

    def step(self, x: Array) -> Array:
        z = np.concatenate([x, self.h])
        self.h = np.tanh((self.weight + self.short_term) @ z + self.bias)
        n = len(self.h)
        for i, j in np.ndindex(*self.weight.shape):
            wanted = self.gamma[i, j] * self.h[i] * z[j]
            size = abs(wanted) if abs(wanted) >= self.limits.delta_f_min else 0.0
            size = min(size, self.limits.delta_f_max)
            self.pulse_j += self.d.e_pulse * (size / self.d.df_max) ** self.d.energy_exponent
            noise = reference_noise(KEY, self.number, j * n + i)
            written = np.copysign(size, wanted) * self.gain[i, j] * max(1 + self.std * noise, 0.0)
            total = self.weight[i, j] + self.decay[i, j] * self.short_term[i, j] + written
            ends = self.limits.total_min, self.limits.total_max
            self.short_term[i, j] = min(max(total, ends[0]), ends[1]) - self.weight[i, j]
        self.number += 1
        return self.h


SLOPE = 0.12283266696153589
"""V_slope in volt, from Lambda(0 V) = 0.08 and V_half = 0.3 V: 0.3 / ln(0.92 / 0.08)."""


def bare_voltage(decay: Array) -> Array:
    return 0.3 + SLOPE * np.log(decay / (1 - decay))


def parameters(limits: WriteLimits | None = None) -> LayerParameters:
    rng = np.random.default_rng(0)
    shape = (N, N_IN + N)
    return LayerParameters(
        weight=rng.uniform(-0.5, 0.5, shape),
        decay=rng.uniform(0.1, 0.9, shape),
        gamma=rng.uniform(-0.05, 0.05, shape),
        bias=rng.uniform(-0.1, 0.1, N),
        normalisation="none",
        limits=limits,
    )


def frames() -> Array:
    rng = np.random.default_rng(1)
    return rng.exponential(size=(T, N_IN)) * (rng.random((T, N_IN)) < 0.4)


def layer(p: LayerParameters) -> STHebbLayer:
    made = STHebbLayer(N_IN, TwinConfig(N, 3, "none", 0.08, 0.92, p.limits)).double()
    with torch.no_grad():
        made.weight.copy_(torch.from_numpy(p.weight))
        made.decay_logit.copy_(torch.logit((torch.from_numpy(p.decay) - 0.08) / 0.84))
        made.gamma.copy_(torch.from_numpy(p.gamma))
        made.bias.copy_(torch.from_numpy(p.bias))
    return made


def spread(device: Memristor) -> Deviations:
    return SPREAD.draw((N * (N_IN + N),), device)


def on_devices(p: LayerParameters, device: Memristor) -> STHebbLayer:
    made = layer(p)
    shaped = SPREAD.draw((N * (N_IN + N),), device)
    made.put_on(
        Deviations._make(v.reshape(N_IN + N, N) if isinstance(v, np.ndarray) else v for v in shaped)
    )
    return made


def noise(batch: int = 1) -> CycleNoise:
    return CycleNoise(SPREAD.delta_f_std, torch.tensor([KEY] * batch), torch.tensor(0))


@pytest.mark.parametrize("limits", [None, LIMITS])
@pytest.mark.parametrize("target", ["cython", "numpy"])
def test_brian2_on_devices_that_differ_equals_their_recursion(
    target: str,
    limits: WriteLimits | None,
    device: Memristor,
    numbers: oracles.Device,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(prefs, "codegen.target", target)
    p = parameters(limits)
    net = MSTPNNetwork(p, device, device.decay_duration, SPREAD)
    net.reset(KEY)
    recursion = SpreadRecursion(p, spread(device), SPREAD.delta_f_std, numbers)
    for x in frames():
        # as in the ideal network; feedback through h keeps rounding below 1e-12
        np.testing.assert_allclose(net.step(x), recursion.step(x), rtol=0, atol=1e-12)
    paid = recursion.pulse_j
    net.step(np.zeros(N_IN))
    assert float(net.energy()["pulse"] / joule) == pytest.approx(paid, rel=1e-11)


@pytest.mark.parametrize("limits", [None, LIMITS])
def test_twin_on_devices_that_differ_equals_their_recursion(
    limits: WriteLimits | None, device: Memristor, numbers: oracles.Device
) -> None:
    p = parameters(limits)
    made = on_devices(p, device)
    recursion = SpreadRecursion(p, spread(device), SPREAD.delta_f_std, numbers)
    x = torch.from_numpy(frames())[:, None]
    keep = torch.ones(T, 1, dtype=torch.float64)
    for fused in (False, True):
        h, _ = made(x, made.initial_state(1), keep, fused=fused, noise=noise())
        if not fused:
            expected = np.array([recursion.step(f) for f in frames()])
        np.testing.assert_allclose(h[:, 0].detach(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("limits", [None, LIMITS])
@pytest.mark.parametrize("noisy", [False, True])
def test_fused_gradients_equal_eager_on_devices_that_differ(
    limits: WriteLimits | None, noisy: bool, device: Memristor
) -> None:
    made = on_devices(parameters(limits), device)
    g = torch.Generator().manual_seed(2)
    x = torch.randn(T, 3, N_IN, generator=g, dtype=torch.float64).requires_grad_()
    keep = torch.ones(T, 3, dtype=torch.float64)
    keep[17, 1] = keep[0, 2] = 0
    at = CycleNoise(0.4, torch.tensor([1, 2, 3]), torch.tensor(1234)) if noisy else None
    results = []
    for fused in (False, True):
        h, last = made(x, made.initial_state(3), keep, fused=fused, noise=at)
        loss = h.square().sum() + last.short_term.sum()
        results.append([h, *last, *torch.autograd.grad(loss, [x, *made.parameters()])])
    for eager, from_kernel in zip(*results, strict=True):
        torch.testing.assert_close(from_kernel, eager, rtol=1e-11, atol=1e-12)


def test_compiled_step_equals_eager_on_devices_that_differ(device: Memristor) -> None:
    made = on_devices(parameters(LIMITS), device)
    x = torch.from_numpy(frames()[:1])
    relative = noise().relative(0, N, N_IN + N)
    arguments = (x, x.new_ones(1), made.initial_state(1), *made._on_devices, made.gamma)
    others = (made.bias, made.config, made._gain, relative)
    for compiled, eager in zip(
        compiled_step(*arguments, *others),
        step_of(*arguments, *others),
        strict=True,
    ):
        torch.testing.assert_close(compiled, eager, rtol=0, atol=1e-14)


def test_a_sequence_cut_in_two_has_the_same_noise(device: Memristor) -> None:
    made = on_devices(parameters(), device)
    x, keep = torch.from_numpy(frames())[:, None], torch.ones(T, 1, dtype=torch.float64)
    whole, _ = made(x, made.initial_state(1), keep, noise=noise())
    first, state = made(x[:13], made.initial_state(1), keep[:13], noise=noise())
    rest = noise()._replace(step=torch.tensor(13))
    second_part, _ = made(x[13:], state, keep[13:], fused=True, noise=rest)
    torch.testing.assert_close(torch.cat([first, second_part]), whole, rtol=0, atol=1e-13)


def test_noise_is_the_hash_in_every_form() -> None:
    rng = np.random.default_rng(3)
    places = rng.integers(0, 2**31, (200, 3))
    places[0], places[1] = 0, (2**32 - 1, 2**31 - 1, 2**31 - 1)
    expected = [reference_noise(*(int(v) for v in row)) for row in places]
    # the division by sqrt(variance) is a multiplication by its inverse in one of them
    np.testing.assert_allclose(cycle_noise(*places.T), expected, rtol=4e-16, atol=0)
    in_torch = noise_level(*torch.from_numpy(places.T.copy()))
    np.testing.assert_array_equal(in_torch, noise_level(*places.T))


def test_noise_has_the_moments_of_four_uniform_draws_and_no_correlation() -> None:
    n = 1000
    step, synapse = np.mgrid[:n, :n]
    x = cycle_noise(5, step, synapse)
    # five standard errors of a mean over n^2; kurtosis of k uniforms is 3 - 1.2 / k
    assert abs(x.mean()) < 5 / n
    assert abs((x**2).mean() - 1) < 5 * np.sqrt(1.7) / n
    assert abs((x**4).mean() - 2.7) < 5 * np.sqrt((x**8).mean()) / n
    others = (x[1:, :], x[:-1, :]), (x[:, 1:], x[:, :-1]), (cycle_noise(6, step, synapse), x)
    for a, b in others:
        assert abs((a * b).mean()) < 5 / np.sqrt(a.size)


def test_draws_have_the_stated_spread(device: Memristor) -> None:
    n = 200_000
    d = replace(SPREAD, drift_nu=0.1).draw((n,), device)
    stuck = d.update_gain == 0
    share = 0.1 + (1 - 0.1) * 4.3e-4  # stuck, or of a gain below 0: Phi(-1/0.3)
    assert abs(stuck.mean() - share) < 5 * np.sqrt(0.1 * 0.9 / n)
    corrupt = d.weight_scale == 0
    assert abs(d.weight_shift[corrupt]).max() <= 0.5
    # standard errors: sd/sqrt(n) of a mean, about sd/sqrt(2 n) of a standard deviation
    healthy = n * 0.9
    assert d.weight_shift[corrupt].std() == pytest.approx(0.5 / np.sqrt(3), rel=0.03)
    assert d.weight_shift[~corrupt].std() == pytest.approx(0.05, rel=5 / np.sqrt(2 * healthy))
    assert d.half_voltage_shift.std() == pytest.approx(0.02, rel=5 / np.sqrt(2 * n))
    assert d.reduced_shift == pytest.approx(d.half_voltage_shift / SLOPE, rel=1e-12)
    # cutting the gain at 0 moves 4e-4 of the mass by 0.03 on average
    assert d.update_gain[~stuck].mean() == pytest.approx(1, abs=1e-3 + 5 * 0.3 / np.sqrt(healthy))
    nu = -np.log(d.weight_scale[~corrupt]) / np.log(1 + 24 * 3600 / 20)
    assert nu.mean() == pytest.approx(0.1, abs=5 * 0.01 / np.sqrt(healthy))
    assert nu.std() == pytest.approx(0.01, rel=5 / np.sqrt(2 * healthy))


def test_the_seed_is_the_devices_and_each_deviation_has_its_own_stream(device: Memristor) -> None:
    shape = (3, 50)
    first, again = SPREAD.draw(shape, device), SPREAD.draw(shape, device)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    other = replace(SPREAD, seed=8).draw(shape, device)
    assert not np.array_equal(first.weight_shift, other.weight_shift)
    alone = Nonidealities(half_voltage_dtod=20 * mvolt, seed=7).draw(shape, device)
    np.testing.assert_array_equal(alone.half_voltage_shift, first.half_voltage_shift)
    drawn = {k: Nonidealities(seed=7, **{k: v}).draw(shape, device) for k, v in ONLY.items()}
    sizes = {
        "delta_f_dtod": drawn["delta_f_dtod"].update_gain - 1,
        "weight_dtod": drawn["weight_dtod"].weight_shift,
        "half_voltage_dtod": drawn["half_voltage_dtod"].half_voltage_shift,
        "corrupt_devices_prob": drawn["corrupt_devices_prob"].weight_shift,
    }
    for a, b in combinations(sizes.values(), 2):
        # 5 standard errors of a correlation of 150 pairs
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 5 / np.sqrt(150)


def test_another_game_has_other_noise_on_the_same_devices(device: Memristor) -> None:
    net = MSTPNNetwork(parameters(), device, device.decay_duration, SPREAD)
    games = []
    for key in (1, 2, 1):
        net.reset(key)
        games.append([net.step(x) for x in frames()])
    np.testing.assert_array_equal(games[0], games[2])
    np.testing.assert_array_equal(games[0][0], games[1][0])
    assert not np.array_equal(games[0], games[1])
    with pytest.raises(ValueError, match=r"noise_key must lie in \[0, 2\^31\), got 2147483648"):
        net.reset(2**31)


def test_agents_on_the_same_unlike_devices_agree(
    device: Memristor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(prefs, "codegen.target", "cython")
    checkpoint = load_checkpoint(DEFAULT_CHECKPOINT)
    spread = Nonidealities.parse(
        ["delta_f_std=0.3", "weight_dtod=0.005", "half_voltage_dtod=0.02", "seed=4"]
    )
    agent = BrianAgent(checkpoint, device, STEP_DURATION, spread)
    beside = TwinAgent(checkpoint, device, spread)
    ideal = TwinAgent(checkpoint)
    seed = 2**31 + 5
    agent.reset(seed)
    beside.reset(seed)
    pong = Pong()
    observation = pong.reset(seed)
    for _ in range(120):
        action = agent.step(observation)
        assert beside.step(observation) == action
        ideal.step(observation)
        # 2656 products an output, in another order, fed back over 120 steps
        np.testing.assert_allclose(agent.h, beside.h, rtol=0, atol=1e-9)
        observation, _, _ = pong.step(action)
    assert np.abs(ideal.h - beside.h).max() > 1e-3
    with pytest.raises(ValueError, match="the devices must be ideal for a ledger"):
        held_parameters(agent.network)
    with pytest.raises(ValueError, match="device must be given with nonidealities"):
        TwinAgent(checkpoint, nonidealities=spread)


def test_settings_of_a_command_line() -> None:
    settings = ["t_inference=3600", "half_voltage_dtod=0.02", "drift_nu=0.1", "seed=3"]
    parsed = Nonidealities.parse(settings)
    assert parsed == Nonidealities(
        half_voltage_dtod=20 * mvolt, drift_nu=0.1, t_inference=1 * hour, seed=3
    )
    again = Nonidealities.parse(f"{k}={v}" for k, v in parsed.to_json().items() if k != "seed")
    assert again == replace(parsed, seed=0)


def test_without_deviations_nothing_is_added(device: Memristor) -> None:
    net = MSTPNNetwork(parameters(), device, device.decay_duration, Nonidealities(seed=3))
    assert net.nonidealities is None
    assert "device_gain" not in net.synapses.variables
    assert not Nonidealities(drift_nu=0.1)
    assert not Nonidealities(t_inference=1 * hour)
    assert Nonidealities(drift_nu=0.1, t_inference=1 * hour)


def test_bad_values_are_refused() -> None:
    with pytest.raises(ValueError, match=r"weight_dtod must be at least 0 and finite, got -1"):
        Nonidealities(weight_dtod=-1)
    with pytest.raises(ValueError, match=r"drift_nu must be at least 0 and finite, got nan"):
        Nonidealities(drift_nu=float("nan"))
    with pytest.raises(ValueError, match=r"corrupt_devices_prob must lie in \[0, 1\], got 1\.5"):
        Nonidealities(corrupt_devices_prob=1.5)
    with pytest.raises(DimensionMismatchError, match="half_voltage_dtod must be in V"):
        Nonidealities(half_voltage_dtod=0.01)
    with pytest.raises(DimensionMismatchError, match="t_inference must be in s"):
        Nonidealities(t_inference=1 * volt)
    assert float(Nonidealities().t_inference / second) == 0


def test_devices_that_differ_at_another_step_than_lambda_refers_to(device: Memristor) -> None:
    step = device.decay_duration / 3
    d = SPREAD.draw((4,), device, step)
    intended = np.array([0.5, 0.6, 0.8, 0.95])
    held = bare_voltage(intended**3) - d.half_voltage_shift
    left = (1 / (1 + np.exp((0.3 - held) / SLOPE))) ** (1 / 3)
    # a cube and a cube root beside exp and log, some roundings each
    np.testing.assert_allclose(d.decay(intended), left, rtol=1e-13)
    shifted = d._replace(reduced_shift=torch.from_numpy(d.reduced_shift))
    np.testing.assert_allclose(shifted.decay(torch.from_numpy(intended)), left, rtol=1e-13)
