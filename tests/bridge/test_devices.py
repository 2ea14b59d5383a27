"""Devices of other scales than the package's: their files, an agent on them, the bench's times."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from brian2.units import ms, second, us, volt

from mstpn.analysis.device.bench_extraction import fit_sigmoid
from mstpn.bridge.checkpoints import DEFAULT_CHECKPOINT
from mstpn.bridge.conversion import layer_parameters, nearest_decay, within_limits
from mstpn.bridge.twin_agent import TwinAgent
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.checkpoint import CheckpointError, load_checkpoint
from mstpn.synapses.bench.protocols import decay_under_bias, pulse_map
from mstpn.synapses.bench.waveforms import rest_of, time_scale
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.write_limits import WriteLimits

FOLDER = Path(__file__).parents[2] / "examples/devices"
TAU = {"tiox": 40e-3, "tiox_taoy": 400e-6}
"""As the captions of the papers have it, in second."""


@pytest.fixture(params=TAU)
def other(request: pytest.FixtureRequest) -> tuple[Memristor, float]:
    name = str(request.param)
    return Memristor.from_file(FOLDER / f"{name}.toml"), TAU[name]


def test_files_have_the_published_time_constant(other: tuple[Memristor, float]) -> None:
    device, tau = other
    ends = (device.bias_voltage_min, device.bias_voltage_max)
    found = [float(device.time_constant(v) / second) for v in ends]
    np.testing.assert_allclose(found, [0.99 * tau, 1.01 * tau], rtol=1e-9)
    step = float(STEP_DURATION / second)
    np.testing.assert_allclose(
        device.decay_range(STEP_DURATION), [math.exp(-step / t) for t in found], rtol=1e-9
    )
    assert device.provenance("decay_duration") == "paper"
    energy = float(device.pulse_voltage**2 * device.offset_conductance * device.pulse_width)
    assert float(device.pulse_energy) == pytest.approx(energy, rel=1e-9)


def test_an_agent_is_refused_or_held_at_the_nearest(other: tuple[Memristor, float]) -> None:
    device, _ = other
    whole = load_checkpoint(DEFAULT_CHECKPOINT)
    with pytest.raises(CheckpointError, match=r"layer.decay.*outside.*nearest-decay has it hold"):
        layer_parameters(whole, device)
    held = nearest_decay(whole, device)
    decay, (low, high) = held.tensors["layer.decay"], device.decay_range(STEP_DURATION)
    expected = np.minimum(np.maximum(whole.tensors["layer.decay"].astype(float), low), high)
    np.testing.assert_allclose(decay, expected, rtol=1e-7, atol=1e-44)  # of float32
    assert layer_parameters(held, device).limits == device.write_limits()
    twin = TwinAgent(held, device)._net.layer
    assert twin.config.limits == device.write_limits()
    lines = np.unique(twin.decay_lines.detach().numpy())
    np.testing.assert_allclose(lines, np.unique(decay), atol=1e-9)


def test_on_its_own_device_an_agent_is_as_it_is(device: Memristor) -> None:
    whole = load_checkpoint(DEFAULT_CHECKPOINT)
    assert within_limits(whole, device).config == whole.config
    np.testing.assert_array_equal(
        nearest_decay(whole, device).tensors["layer.decay"], whole.tensors["layer.decay"]
    )
    ideal = replace(whole, config=replace(whole.config, limits=None))
    assert within_limits(ideal, device).config.limits is None
    some = replace(whole, config=replace(whole.config, limits=WriteLimits(delta_f_max=0.3)))
    found = within_limits(some, device).config.limits
    assert found == WriteLimits(delta_f_max=device.delta_f_max)


def test_times_of_the_bench_follow_the_device(device: Memristor) -> None:
    assert (time_scale(device), rest_of(device)) == (1.0, 1 * second)
    assert time_scale(Memristor.from_file(FOLDER / "tiox.toml")) == 0.05
    slow = device.varied(decay_duration=100 * second)
    assert float(rest_of(slow) / slow.time_constant(0 * volt)) == pytest.approx(35)
    fast = Memristor.from_file(FOLDER / "tiox_taoy.toml")
    time = np.asarray(decay_under_bias(fast, n_voltages=2, n_repeats=1).time / us)
    assert time[0] >= 10  # a read takes 10 us
    assert np.diff(time).min() >= 10 - 1e-9
    assert time[-1] == pytest.approx(5000)
    assert np.diff(decay_under_bias(device, n_voltages=2, n_repeats=1).time / ms).min() > 0
    assert pulse_map(fast, n_repeats=1).width[1] == fast.pulse_width


def test_a_decay_that_no_bias_moves_has_no_sigmoid() -> None:
    rng = np.random.default_rng(0)
    bias = np.linspace(0, 0.01, 7) * volt
    flat = 0.37 + 0.002 * rng.standard_normal((7, 5))
    assert fit_sigmoid(bias, flat) is None
    assert fit_sigmoid(bias, np.full((7, 5), 0.5)) is None
    falling = np.linspace(0.6, 0.4, 7)[:, None] + 0.002 * rng.standard_normal((7, 5))
    assert fit_sigmoid(bias, falling) is None
