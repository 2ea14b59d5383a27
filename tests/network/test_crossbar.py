"""A layer whose crossbar is not ideal: Brian2, its twin and a recursion in plain loops."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import oracles
import pytest
import torch
from brian2 import prefs
from brian2.units import DimensionMismatchError, joule, ohm, second, siemens, volt
from numpy.typing import NDArray

from mstpn.network.brian import LayerParameters, MSTPNNetwork
from mstpn.network.crossbar import devices_of
from mstpn.network.saturation import Saturation
from mstpn.network.twin.layer import CycleNoise, STHebbLayer, TwinConfig
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import Nonidealities, cycle_noise
from mstpn.synapses.wires import Wires
from mstpn.synapses.write_limits import WriteLimits

Array = NDArray[np.float64]
T, N_IN, N, M = 25, 7, 4, 11
KEY, LAMBDA, LAMBDA_OF_H, STEP = 77, 0.2, 0.6, 1 / 15
LIMITS = WriteLimits(0.004, 0.03, -0.6, 0.6)
ALL = (
    *("w_noise=0.05", "inp_res=62", "inp_bound=1.5", "out_res=254", "out_bound=3"),
    *("ir_drop_rs=2e4", "half_select=0.5", "delta_f_std=0.3", "delta_f_dtod=0.2"),
)
EFFECTS = ("w_noise=0.05", "inp_res=14", "out_res=30", "ir_drop_rs=1e5", "half_select=0.5")


def parameters(limits: WriteLimits | None = LIMITS, **others: Array) -> LayerParameters:
    rng = np.random.default_rng(0)
    decay = np.full((N, M), LAMBDA)
    decay[:, N_IN:] = LAMBDA_OF_H
    made: dict[str, Any] = {
        "weight": rng.uniform(-0.5, 0.5, (N, M)),
        "decay": decay,
        "gamma": rng.uniform(-0.05, 0.05, (N, M)),
        "bias": rng.uniform(-0.1, 0.1, N),
    }
    return LayerParameters(
        **(made | others), normalisation="none", limits=limits, bias_lines="block"
    )


def frames() -> Array:
    rng = np.random.default_rng(1)
    return rng.exponential(size=(T, N_IN)) * (rng.random((T, N_IN)) < 0.5)


def network(
    device: Memristor, settings: Sequence[str], p: LayerParameters | None = None
) -> MSTPNNetwork:
    spread = Nonidealities.parse(settings)
    net = MSTPNNetwork(p or parameters(), device, device.decay_duration, spread)
    net.reset(KEY)
    return net


class CrossbarRecursion:
    """The layer on a crossbar, device by device; lines of 20 kilohm a cell if `wired`."""

    def __init__(self, p: LayerParameters, d: oracles.Device, gain: Array, wired: bool) -> None:
        self.p, self.d, self.gain = p, d, gain
        self.h, self.f = np.zeros(N), np.zeros((M, N))
        self.w, self.decay = p.weight.T, p.decay.T.copy()
        self.pulse_j = self.periphery_j = 0.0
        self.number = 0
        cells = np.full((M, N + 1), d.g_offset)
        cells[:, :N] += d.kappa * self.w
        self.read = Wires(cells * siemens, 2e4 * ohm).read_gain() if wired else np.ones((M, N + 1))
        if wired:  # V = V_half + V_slope logit(Lambda), of the device file
            slope = 0.3 / np.log(0.92 / 0.08)
            line = 0.3 + slope * np.log(self.decay / (1 - self.decay))
            held = Wires(cells[:, :N] * siemens, 2e4 * ohm).across(line[:, 0] * volt) / volt
            self.decay = 1 / (1 + np.exp((0.3 - np.asarray(held)) / slope))

    def step(self, x: Array) -> Array:
        d, step = self.d, 3 / 62
        z = np.clip(step * np.round(np.concatenate([x, self.h]) / step), -1.5, 1.5)
        g = np.full((M, N + 1), d.g_offset)
        g[:, :N] += d.kappa * (self.w + self.f)
        currents = np.zeros(N + 1)
        for j in range(N + 1):
            each = d.v_read * self.read[:, j] * g[:, j] * z
            noise = cycle_noise(KEY, self.number, M * N + j)
            currents[j] = each.sum() + 0.05 * noise * np.sqrt((each**2).sum())
        u = (currents[:N] - currents[N]) / (d.v_read * d.kappa)
        step = 6 / 254
        self.h = np.tanh(np.clip(step * np.round(u / step), -3, 3) + self.p.bias)
        reference = d.v_read**2 * d.g_offset * d.t_read * (self.read[:, N] * abs(z)).sum()
        dac, adc = 1e-12 * 64 / 256, 5e-12
        self.periphery_j += reference + dac * np.count_nonzero(z) + adc * N
        self.write(z)
        self.number += 1
        return self.h

    def write(self, z: Array) -> None:
        low, high = LIMITS.total_min - self.w, LIMITS.total_max - self.w
        issued, energy = np.zeros((M, N)), np.zeros((M, N))
        self.f = self.decay * self.f
        for i, j in np.ndindex(M, N):
            wanted = self.p.gamma[j, i] * self.h[j] * z[i]
            if abs(wanted) >= LIMITS.delta_f_min:
                issued[i, j] = np.sign(wanted) * np.minimum(abs(wanted), LIMITS.delta_f_max)
            size = abs(issued[i, j]) / self.d.df_max
            energy[i, j] = self.d.e_pulse * size**self.d.energy_exponent
            noise = max(1 + 0.3 * cycle_noise(KEY, self.number, i * N + j), 0)
            self.f[i, j] += issued[i, j] * self.gain[i, j] * noise
        self.f = np.clip(self.f, low, high)
        disturbed = self.f.copy()
        for k, j in np.ndindex(M, N):
            for i in set(range(M)) - {k}:
                disturbed[k, j] += issued[i, j] * self.gain[k, j] / 2**4
                self.pulse_j += energy[i, j] / 2**2
        self.f = np.clip(disturbed, low, high)
        self.pulse_j += energy.sum()


@pytest.mark.parametrize("wired", [False, True])
@pytest.mark.parametrize("target", ["cython", "numpy"])
def test_brian2_equals_a_recursion_of_every_device(
    target: str,
    wired: bool,
    device: Memristor,
    numbers: oracles.Device,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(prefs, "codegen.target", target)
    settings = [s for s in ALL if wired or not s.startswith("ir_drop_rs")]
    net = network(device, settings)
    gain = Nonidealities.parse(settings).draw((M, N), device).update_gain
    recursion = CrossbarRecursion(parameters(), numbers, gain, wired)
    for x in frames():
        # converters round differences of 1e-15 away, or show them as a step: there are none
        np.testing.assert_allclose(net.step(x), recursion.step(x), rtol=0, atol=1e-12)
    paid, periphery = recursion.pulse_j, recursion.periphery_j
    spent = net.energy()
    assert float(spent["periphery"] / joule) == pytest.approx(periphery, rel=1e-12)
    net.step(np.zeros(N_IN))
    assert float(net.energy()["pulse"] / joule) == pytest.approx(paid, rel=1e-11)


def twin(
    p: LayerParameters, device: Memristor, spread: Nonidealities
) -> tuple[STHebbLayer, CycleNoise]:
    config = TwinConfig(N, 3, "none", 0.08, 0.92, p.limits, "block")
    made = STHebbLayer(N_IN, config).double()
    lines = torch.tensor([[LAMBDA, LAMBDA_OF_H]], dtype=torch.float64)
    with torch.no_grad():
        for name in ("weight", "gamma", "bias"):
            getattr(made, name).copy_(torch.from_numpy(getattr(p, name)))
        made.decay_logit.copy_(torch.logit((lines - 0.08) / 0.84))
    devices = devices_of(spread, p.weight, p.decay, device, device.decay_duration)
    made.put_on(devices, spread.periphery(device))
    return made, CycleNoise(spread.delta_f_std, torch.tensor([KEY]), torch.tensor(0))


CASES = [
    *((effect,) for effect in EFFECTS),
    ALL,
    ("slow_fraction=0.3", *EFFECTS[:4]),
]


@pytest.mark.parametrize("settings", CASES, ids=lambda s: f"{s[0]}, {len(s)}")
def test_twin_equals_brian2(settings: tuple[str, ...], device: Memristor) -> None:
    limits = None if settings == ALL else LIMITS
    p = parameters(limits)
    net = network(device, settings, p)
    made, noise = twin(p, device, Nonidealities.parse(settings))
    x, keep = torch.from_numpy(frames())[:, None], torch.ones(T, 1, dtype=torch.float64)
    h, _ = made(x, made.initial_state(1), keep, noise=noise)
    expected = np.array([net.step(f) for f in frames()])
    np.testing.assert_allclose(h[:, 0].detach(), expected, rtol=0, atol=1e-12)
    ideal = network(device, (), p)
    assert np.abs(expected - [ideal.step(f) for f in frames()]).max() > 1e-3


@pytest.mark.parametrize("limits", [None, LIMITS])
def test_fused_equals_eager(limits: WriteLimits | None, device: Memristor) -> None:
    settings = [s for s in ALL if not s.startswith(("ir_drop", "half_select"))]
    made, noise = twin(parameters(limits), device, Nonidealities.parse(settings))
    assert made._has_kernel
    g = torch.Generator().manual_seed(2)
    x = torch.rand(T, 2, N_IN, generator=g, dtype=torch.float64).requires_grad_()
    keep = torch.ones(T, 2, dtype=torch.float64)
    keep[9, 1] = 0
    noise = noise._replace(keys=torch.tensor([3, 4]), step=torch.tensor(100))
    results = []
    for fused in (False, True):
        h, last = made(x, made.initial_state(2), keep, fused=fused, noise=noise)
        loss = h.square().sum() + last.short_term.sum()
        results.append([h, *last, *torch.autograd.grad(loss, [x, *made.parameters()])])
    for eager, from_kernel in zip(*results, strict=True):
        torch.testing.assert_close(from_kernel, eager, rtol=1e-11, atol=1e-12)


def test_gains_leave_out_little_of_what_lines_do_to_f(device: Memristor) -> None:
    """Fixed gains against the network solved anew at every step, at a resistance that ruins."""
    net = network(device, ["ir_drop_rs=1e5"])
    offset, kappa = float(device.offset_conductance), float(device.weight_conductance)
    errors, effects = [], []
    for x in frames():
        net.step(x)
        # F at the read has decayed for one step since
        lambdas = np.asarray(device.decay(net.of_synapses("V_bias") * volt))
        total = net.of_synapses("W") + net.short_term.reshape(M, N) / lambdas
        cells = np.full((M, N + 1), offset)
        cells[:, :N] += kappa * total
        full = np.asarray(Wires(cells * siemens, 1e5 * ohm).currents(net.z * volt)) / kappa
        gain = net.of_synapses("read_gain")
        seen = (gain * cells[:, :N]).T @ net.z / kappa
        errors.append(np.abs(seen - full[:N]).max())
        effects.append(np.abs(cells[:, :N].T @ net.z / kappa - full[:N]).max())
    assert np.abs(net.of_synapses("F")).max() > 0.04
    assert max(effects) > 0.05
    # F of some per cent of the conductances
    assert max(errors) < 0.1 * max(effects)


def test_bias_energy_is_what_the_drivers_deliver(
    device: Memristor, numbers: oracles.Device
) -> None:
    p = parameters(gamma=np.zeros((N, M)))
    net = network(device, ["ir_drop_rs=1e5"], p)
    line = np.asarray(device.bias_voltage(p.decay.T[:, 0]) / volt)
    cells = numbers.g_offset + numbers.kappa * p.weight.T
    held = np.asarray(Wires(cells * siemens, 1e5 * ohm).across(line * volt) / volt)
    for x in frames():
        net.step(x)
    power = (line[:, None] * held * cells).sum()
    bias = float(net.energy()["bias"] / joule)
    assert bias == pytest.approx(power * T * float(device.decay_duration / second), rel=1e-12)
    assert (held[:, :] < line[:, None]).all()
    other = np.full(M * N, 0.4)
    net.hold(other * volt)
    held = np.asarray(Wires(cells * siemens, 1e5 * ohm).across(0.4 * volt) / volt)
    np.testing.assert_allclose(net.of_synapses("V_bias"), held, rtol=1e-12)
    net.step(frames()[0])
    power = 0.4 * (held * cells).sum()
    more = float(net.energy()["bias"] / joule) - bias
    assert more == pytest.approx(power * float(device.decay_duration / second), rel=1e-9)


def test_noise_of_reads_has_the_variance_of_every_device(
    device: Memristor, numbers: oracles.Device
) -> None:
    p = parameters(None, weight=np.full((N, M), 0.2), gamma=np.zeros((N, M)), bias=np.zeros(N))
    p = replace(p, weight=np.array(p.weight[:, :N_IN]), decay=p.decay[:, :N_IN].copy(),
                gamma=p.gamma[:, :N_IN], feedback=False)  # fmt: skip
    net = network(device, ["w_noise=0.02"], p)
    x = np.linspace(-0.4, 0.3, N_IN)
    n = 2000
    u = np.array([np.arctanh(net.step(x)) for _ in range(n)])
    offset = numbers.g_offset / numbers.kappa
    size = np.sqrt((x**2).sum())
    own, shared = 0.02 * (offset + 0.2) * size, 0.02 * offset * size
    # five standard errors of a variance of n draws, sqrt(2 / n), and of a covariance
    assert u.mean() == pytest.approx(0.2 * x.sum(), abs=5 * np.hypot(own, shared) / np.sqrt(n))
    covariance = np.cov(u.T)
    diagonal = np.eye(N, dtype=bool)
    expected = own**2 + shared**2
    np.testing.assert_allclose(covariance[diagonal], expected, rtol=5 * np.sqrt(2 / n))
    np.testing.assert_allclose(covariance[~diagonal], shared**2, atol=5 * expected / np.sqrt(n))


@pytest.mark.parametrize("settings", [(), ("half_select=0.5",)])
def test_devices_at_their_window_are_counted_in_every_row(
    device: Memristor, settings: tuple[str, ...]
) -> None:
    """Against a count over all of them, also where pulses move rows that were not visited."""
    ones = np.ones((N, M))
    p = replace(parameters(), weight=0.59 * ones, gamma=0.02 * ones, bias=np.ones(N))
    net = network(device, (*settings, "delta_f_std=0.3"), p)
    every, hits, of = 3, 0, 0
    saturation = Saturation(net, every)
    seen = frames()
    seen[:, :4] = 0
    for t, x in enumerate(seen):
        h = net.step(x)
        saturation.observe(net.z, h)
        if t % every == 0:
            total = net.of_synapses("W") + net.of_synapses("F")
            hits += int(((total <= LIMITS.total_min) | (total >= LIMITS.total_max)).sum())
            of += total.size
    assert 0 < hits < of
    assert saturation.counts[2].tolist() == [hits, of]


def test_a_game_goes_on_from_its_state(device: Memristor) -> None:
    first, second_network = network(device, ALL), network(device, ALL)
    for x in frames()[:10]:
        first.step(x)
    second_network.restore(first.state())
    rest = [[net.step(x) for x in frames()[10:]] for net in (first, second_network)]
    np.testing.assert_array_equal(rest[0], rest[1])
    energies = [net.energy() for net in (first, second_network)]
    assert {k: float(v) for k, v in energies[0].items()} == {
        k: float(v) for k, v in energies[1].items()
    }
    first.reset(KEY)
    assert float(first.energy()["periphery"]) == 0
    again = [first.step(x) for x in frames()]
    np.testing.assert_array_equal(again[10:], rest[0])


def test_a_silent_row_is_disturbed_by_what_another_gets(device: Memristor) -> None:
    p = parameters(None, weight=np.zeros((N, M)), gamma=np.full((N, M), 0.08))
    net = network(device, ["half_select=0.5"], p)
    x = np.eye(N_IN)[2]
    h = net.step(x)
    net.step(np.zeros(N_IN))
    f = net.of_synapses("F")
    np.testing.assert_allclose(f[2], 0.08 * h, rtol=1e-12)
    np.testing.assert_allclose(f[5], 0.08 * h / 16, rtol=1e-12)


def test_conversions_cost_in_proportion_to_their_levels(device: Memristor) -> None:
    paid = {}
    for name in ("inp_res=254", "inp_res=62", "out_res=254", "out_res=0.00392156862745098"):
        net = network(device, [name])
        net.step(np.full(N_IN, 0.9))
        paid[name] = float(net.energy()["periphery"] / joule)
    assert paid["inp_res=254"] == pytest.approx(7e-12)
    assert paid["inp_res=62"] == pytest.approx(7e-12 / 4)
    reference = paid["out_res=254"] - N * 5e-12
    assert 0 < reference < 1e-13
    assert paid["out_res=0.00392156862745098"] - reference == pytest.approx(N * 5e-12 * 257 / 256)


def test_what_cannot_be_is_refused(device: Memristor) -> None:
    p = parameters()
    each = replace(p, bias_lines="synapse", decay=np.linspace(0.1, 0.9, N * M).reshape(N, M))
    with pytest.raises(ValueError, match="ir_drop_rs needs bias voltages of rows or of columns"):
        network(device, ["ir_drop_rs=1"], each)
    refused: tuple[tuple[dict[str, Any], str], ...] = (
        ({"half_select": 1.2}, r"half_select must lie in \[0, 1\], got 1\.2"),
        ({"half_select": 0.5, "slow_fraction": 0.1}, "half_select must be 0 with slow_fraction"),
        ({"out_bound": 0.0}, "out_bound must be positive, got 0"),
        ({"inp_res": -1.0}, "inp_res must be at least 0 and finite, got -1"),
    )
    for settings, message in refused:
        with pytest.raises(ValueError, match=message):
            Nonidealities(**settings)
    with pytest.raises(DimensionMismatchError, match="ir_drop_rs must be in ohm"):
        Nonidealities(ir_drop_rs=1.0)
