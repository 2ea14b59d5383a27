"""Ratios, their uncertainty, break-even and what the paper leaves out, by hand."""

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import torch
from brian2.units import joule, pjoule, second, volt
from scipy import stats

from mstpn.analysis.energy import neuromorphic
from mstpn.analysis.energy.energies import energies
from mstpn.analysis.energy.left_out import left_out
from mstpn.analysis.energy.policies import POLICIES
from mstpn.analysis.energy.recording import Recording
from mstpn.analysis.energy.uncertainty import draw, monte_carlo, varied
from mstpn.analysis.gpu import MEASURED
from mstpn.analysis.gpu.baselines import Baseline, baselines, paper_game
from mstpn.analysis.gpu.break_even import break_even, curves
from mstpn.analysis.gpu.paper_game import paper_protocol
from mstpn.analysis.gpu.ratios import interval, ratios
from mstpn.network.twin.agent import FrontEnd
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.sourced import Constant, DataError

M, N, T = 20, 4, 50
STEP = 1 / 15 * second


@pytest.fixture(scope="module")
def recording() -> Recording:
    """A game of 80 synapses; three of ten inputs are active."""
    rng = np.random.default_rng(3)
    z = rng.random((T, M)) * (rng.random((T, M)) < 0.3)
    shape = (M, N)
    return Recording(
        weight=rng.uniform(-0.5, 0.5, shape),
        decay=rng.uniform(0.1, 0.9, shape),
        gamma=rng.uniform(-0.05, 0.05, shape),
        step_duration=STEP,
        h=rng.uniform(-1, 1, (T, N)),
        event_count=(z != 0).sum(axis=1),
        event_unit=np.nonzero(z)[1],
        event_z=z[z != 0],
    )


def per_update(recording: Recording, device: Memristor, policy: str) -> float:
    """Joules of pulses and bias per synapse and step, without the code under test."""
    held = POLICIES[policy](recording, device)
    spent = energies(held.recording, device, held.bias_voltage)
    return float((spent["pulse"] + spent["bias"]) / joule) / (M * N * T)


def only_assumed(device: Memristor, name: str) -> Memristor:
    constants = {
        key: constant if key == name else Constant("measured", "test")
        for key, constant in device.constants.items()
    }
    return replace(device, constants=MappingProxyType(constants))


def test_a_ratio_is_the_division_of_two_energies(recording: Recording, device: Memristor) -> None:
    samples = monte_carlo(recording, device, 1, seed=0)
    found = ratios(recording, samples, baselines(), STEP)
    for policy in POLICIES:
        joules = per_update(recording, device, policy)
        stream = found["stream_hbm2_fp16", policy]
        assert stream.value == pytest.approx(312e-12 / joules, rel=1e-12)
        a100 = 3463.9e-3 / (169_984 * 48.7 * 15)
        assert found["a100_fp16_best_size", policy].value == pytest.approx(a100 / joules, rel=1e-12)


def test_bias_grows_with_the_step_and_a_gpu_does_not(
    recording: Recording, device: Memristor
) -> None:
    samples = monte_carlo(recording, device, 1, seed=0)
    faster = recording.replace(step_duration=STEP / 4)
    found = ratios(recording, samples, baselines(), STEP / 4)["stream_hbm2_fp16", "trained"]
    same_voltages = device.varied(decay_duration=STEP / 4)  # Lambda refers to the reading's step
    expected = 312e-12 / per_update(faster, same_voltages, "trained")
    assert found.value == pytest.approx(expected, rel=1e-12)


def test_the_interval_is_that_of_the_samples(recording: Recording, device: Memristor) -> None:
    samples = monte_carlo(recording, device, 200, seed=1)
    found = ratios(recording, samples, baselines(), STEP)["resident_l2_fp32", "worst case"]
    joules = np.asarray(samples.energy("worst case", STEP) / joule)
    of_samples = np.sort(250e-12 * M * N * T / joules[1:])
    assert of_samples[0] < found.low < np.median(of_samples) < found.high < of_samples[-1]
    # 5 of 200 lie below the 2.5 % quantile, and 5 above the 97.5 % one
    assert of_samples[4] <= found.low <= of_samples[5]
    assert of_samples[-6] <= found.high <= of_samples[-5]


@pytest.mark.parametrize("decay", [0.08, 0.0801, 0.3, 0.92])
@pytest.mark.parametrize("n_samples", [1, 2, 25, 100])
def test_every_ratio_lies_within_its_own_interval(
    decay: float, n_samples: int, recording: Recording, device: Memristor
) -> None:
    """At the ends of Lambda the device as it is is the best or worst case of its ranges."""
    held = recording.replace(decay=np.full((M, N), decay))
    samples = monte_carlo(held, device, n_samples, seed=n_samples)
    registry = baselines(MEASURED["h100"])
    steps = [*(step.value for step in paper_game().steps), 3 * second]
    rows = [
        row
        for step in steps
        for parts in ([], left_out())
        for row in ratios(held, samples, registry, step, parts).values()
    ]
    assert len(rows) == len(steps) * 2 * len(registry) * len(POLICIES)
    for row in rows:
        assert row.low <= row.value <= row.high


@pytest.mark.parametrize("quantile", [-0.1, 0.0, 0.01, 0.2, 0.5, 0.98, 0.999, 1.0, 1.1])
@pytest.mark.parametrize("n_samples", [1, 3, 40, 1000])
def test_an_interval_holds_95_of_100_draws_and_the_device(quantile: float, n_samples: int) -> None:
    draws = np.sort(np.random.default_rng(n_samples).lognormal(size=n_samples))
    if quantile in (-0.1, 1.1):  # beyond all draws
        device = draws[0] / 2 if quantile < 0 else 2 * draws[-1]
    else:
        device = np.quantile(draws, quantile)
    low, high = interval(np.concatenate([[device], draws]))
    assert low <= device <= high
    inside = np.count_nonzero((draws >= low) & (draws <= high))
    # a quantile lies between two draws; each end may leave out one more
    assert 0.95 * n_samples - 2 <= inside
    if n_samples == 1000 and 0.03 < quantile < 0.97:
        assert inside == 950
        assert np.count_nonzero(draws < low) == 25


def test_a_system_ratio_adds_what_both_sides_need(recording: Recording, device: Memristor) -> None:
    parts = left_out()
    samples = monte_carlo(recording, device, 1, seed=0)
    found = ratios(recording, samples, baselines(), STEP, parts)["stream_hbm2_fp16", "trained"]
    held = POLICIES["trained"](recording, device)
    spent = energies(recording, device, held.bias_voltage)
    events, pulses = int(recording.event_count.sum()), int(recording.event_count[:-1].sum()) * N
    own = 1e-12 * events + 5e-12 * T * N + (2 * 3.7e-12 + 5e-12) * pulses
    both = 4.6e-12 * (10 * T * N + (1_073_152 + 448) * T)
    memristors = sum(float(energy / joule) for energy in spent.values()) + own + both
    expected = (312e-12 * M * N * T + both) / memristors
    assert found.value == pytest.approx(expected, rel=1e-12)


def test_published_synaptic_operations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Tang et al., Frontiers in Neuroscience 17:1187252 (2023), Table 3
    table = {"Loihi": 23.6, "SpiNNaker 2": 10, "SENECA": 2.8, "TrueNorth": 2.5, "Tianjic": 1.54}
    found = {p.label: float(p.operation.value / pjoule) for p in neuromorphic.processors()}
    assert found == pytest.approx(table, rel=1e-12)
    # the inverse of operations a second and watt
    assert found["TrueNorth"] == pytest.approx(1e12 / 400e9, rel=5e-3)
    assert found["Tianjic"] == pytest.approx(1e12 / 649e9, rel=5e-3)
    assert all("Tang et al. 2023" in p.operation.source for p in neuromorphic.processors())
    broken = tmp_path / "broken.toml"
    broken.write_text(neuromorphic.NEUROMORPHIC.read_text("utf-8").replace("counts", "count"))
    monkeypatch.setattr(neuromorphic, "NEUROMORPHIC", broken)
    with pytest.raises(DataError, match="loihi has no 'counts'"):
        neuromorphic.processors()


def test_operations_of_the_front_end_are_those_of_its_convolutions() -> None:
    front_end = FrontEnd()
    first = torch.zeros(1, 1, 84, 84)
    second_in = front_end.conv1(first)
    out = front_end.conv2(second_in)
    operations = second_in.numel() * 1 * 8 * 8 + out.numel() * 16 * 4 * 4
    (part,) = [p for p in left_out() if p.label == "convolutional front-end"]
    assert part.times == operations
    (heads,) = [p for p in left_out() if p.label == "action and value heads"]
    assert heads.times == 64 * (6 + 1)


def test_same_seed_same_samples(recording: Recording, device: Memristor) -> None:
    one, again, other = (monte_carlo(recording, device, 5, seed=s) for s in (4, 4, 5))
    np.testing.assert_array_equal(one.pulse, again.pulse)
    np.testing.assert_array_equal(one.bias_power["trained"], again.bias_power["trained"])
    assert (np.asarray(one.pulse)[1:] != np.asarray(other.pulse)[1:]).all()
    assert one.pulse[0] == other.pulse[0]


def test_samples_are_the_energies_of_the_devices_drawn(
    recording: Recording, device: Memristor
) -> None:
    samples = monte_carlo(recording, device, 6, seed=2)
    rng = np.random.default_rng(2)
    devices = [device, *(draw(device, varied(device), rng) for _ in range(6))]
    for k, drawn in enumerate(devices):
        for policy, hold in POLICIES.items():
            held = hold(recording, drawn)
            spent = energies(held.recording, drawn, held.bias_voltage)
            bias = float(samples.bias_power[policy][k] * recording.duration / joule)
            assert bias == pytest.approx(float(spent["bias"] / joule), rel=1e-12)
            assert float(samples.read[k] / spent["read"]) == pytest.approx(1, rel=1e-12)
            # ten Chebyshev nodes stand for the sum over all pulses
            assert float(samples.pulse[k] / spent["pulse"]) == pytest.approx(1, rel=1e-8)


def test_a_factor_is_log_uniform_and_moves_nothing_else(
    recording: Recording, device: Memristor
) -> None:
    alone = only_assumed(device, "pulse_energy")
    assert list(varied(alone)) == ["pulse_energy"]
    samples = monte_carlo(recording, alone, 500, seed=0)
    logs = np.log(np.asarray(samples.pulse[1:] / samples.pulse[0])) / np.log(3)
    assert stats.kstest(logs, stats.uniform(-1, 2).cdf).pvalue > 0.01
    bias = np.asarray(samples.bias_power["trained"])
    assert np.ptp(bias) == 0


def test_nothing_assumed_nothing_varied(recording: Recording, device: Memristor) -> None:
    known = only_assumed(device, "")
    samples = monte_carlo(recording, known, 3, seed=0)
    ratio = ratios(recording, samples, baselines(), STEP)["stream_hbm2_fp16", "trained"]
    assert ratio.low == ratio.value == ratio.high


def test_drawn_devices_still_reach_both_ends_of_the_decay(device: Memristor) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        drawn = draw(device, varied(device), rng)
        assert 0 <= float(drawn.bias_voltage_min / volt) <= 0.2
        # rounding of a logit of 2.4
        assert drawn.decay(drawn.bias_voltage_min) == pytest.approx(0.08, rel=1e-9)
        assert drawn.decay(drawn.bias_voltage_max) == pytest.approx(0.92, rel=1e-9)


def test_curves_pass_through_the_game(recording: Recording, device: Memristor) -> None:
    for curve in curves(recording, device).values():
        for policy, energy in curve.energy.items():
            # all curves but that over the voltage, which ends here, are straight lines
            found = np.interp(curve.here, curve.x, energy)
            charged = "worst case" if policy == "all synapses alike" else policy
            assert found == pytest.approx(per_update(recording, device, charged), rel=1e-12)


def test_curves_follow_the_device_and_the_step(recording: Recording, device: Memristor) -> None:
    found = curves(recording, device)
    leaky = replace(device, bias_power=2 * device.bias_power)
    offset, seconds = found["offset_conductance"], found["seconds"]
    for policy in POLICIES:
        expected = per_update(recording, leaky, policy)
        got = np.interp(2 * offset.here, offset.x, offset.energy[policy])
        assert got == pytest.approx(expected, rel=1e-12)
        slower = recording.replace(step_duration=1 * second)
        expected = per_update(slower, device.varied(decay_duration=1 * second), policy)
        assert np.interp(1, seconds.x, seconds.energy[policy]) == pytest.approx(expected, rel=1e-12)


def test_break_even_of_the_papers_game_in_closed_form(device: Memristor) -> None:
    game = paper_game()
    protocol = paper_protocol(game, device, game.steps[-1].value).recording
    n_steps = protocol.n_frames
    assert n_steps == 730
    step = float(protocol.duration / second) / n_steps
    found = curves(protocol, device.varied(decay_duration=protocol.step_duration))
    # S = 0 on average: 4.3 nW at 0.6 V all along, and 0.4 mJ shared by all
    pulse = 0.4e-3 / (169_984 * n_steps)
    l2, stream = baselines()["resident_l2_fp16"], baselines()["stream_hbm2_fp16"]

    def at(curve: str, policy: str, baseline: Baseline) -> float | None:
        return break_even(found[curve], policy, float(baseline.energy(1, step * second) / joule))

    # a curve of 121 points between which energy is taken for a power of x; F adds 1e-5
    seconds = at("seconds", "worst case", stream)
    assert seconds == pytest.approx((312e-12 - pulse) / 4.3e-9, rel=1e-4)
    voltage = at("bias_voltage", "all synapses alike", l2)
    assert voltage == pytest.approx(0.6 * ((125e-12 - pulse) / (4.3e-9 * step)) ** 0.5, rel=1e-4)
    offset = at("offset_conductance", "worst case", l2)
    assert offset == pytest.approx((125e-12 - pulse) / (0.36 * step), rel=1e-4)
    # the bias alone, 287 pJ, is dearer than L2 at any activity
    assert at("activity", "worst case", l2) is None
    assert found["offset_conductance"].here == pytest.approx(4.3e-9 / 0.36, rel=1e-12)


def test_activity_scales_pulses_and_what_they_leave(
    recording: Recording, device: Memristor
) -> None:
    curve = curves(recording, device)["activity"]
    assert curve.here == pytest.approx(recording.event_count.sum() / (M * T), rel=1e-12)
    silent = recording.replace(gamma=0 * recording.gamma)
    static, now = (per_update(r, device, "trained") for r in (silent, recording))
    half = np.interp(curve.here / 2, curve.x, curve.energy["trained"])
    assert half == pytest.approx((static + now) / 2, rel=1e-12)
    assert now > static
