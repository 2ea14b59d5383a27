"""The layer in spikes against the graded recursion on values that are rounded to its bins."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import oracles
import pytest
import scripts
from brian2 import Clock, NetworkOperation, SpikeMonitor, StateMonitor, prefs
from brian2.units import Quantity, joule, ms, second
from numpy.typing import NDArray

from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.checkpoints import DEFAULT_CHECKPOINT
from mstpn.bridge.play import Game
from mstpn.bridge.pong import Pong
from mstpn.bridge.twin_agent import TwinAgent
from mstpn.network.brian import LayerParameters, MSTPNNetwork
from mstpn.network.frames import STEP_DURATION
from mstpn.network.spikes import SpikingMSTPNNetwork, full_scale_of, rounding
from mstpn.network.twin.checkpoint import load_checkpoint
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import Nonidealities
from mstpn.synapses.spike_times import SpikeCode
from mstpn.synapses.write_limits import WriteLimits

Array = NDArray[np.float64]
T_S = 0.05
T_STEP = T_S * second
N_FEATURES, N_HIDDEN = 30, 7
FULL = 3.0
LIMITS = (0.004, 0.03, -0.48, 0.46)


@pytest.fixture(scope="session")
def device() -> Memristor:
    """Its Lambda refers to the step of these tests."""
    return Memristor.from_file().varied(decay_duration=T_STEP)


def parameters(seed: int = 0, *, limited: bool = False) -> LayerParameters:
    rng = np.random.default_rng(seed)
    shape = (N_HIDDEN, N_FEATURES + N_HIDDEN)
    return LayerParameters(
        weight=rng.uniform(-0.45, 0.45, shape),
        decay=rng.uniform(0.08, 0.92, shape),
        gamma=rng.uniform(-0.05, 0.05, shape),
        bias=rng.uniform(-0.1, 0.1, N_HIDDEN),
        normalisation="none",
        limits=WriteLimits(*LIMITS) if limited else None,
    )


def frames(n: int, seed: int = 1) -> Array:
    """Of inputs of both signs, some of them above the full scale."""
    rng = np.random.default_rng(seed)
    shape = (n, N_FEATURES)
    return rng.laplace(size=shape) * (rng.random(shape) < 0.3)


def bins_left(x: Array, bins: int) -> Array:
    return np.minimum(np.floor(np.abs(x) * bins / FULL + 0.5), bins)


def rounded(x: Array, bins: int) -> Array:
    return np.sign(x) * bins_left(x, bins) * FULL / bins


class Played(NamedTuple):
    """What the recursion did with the rounded values of a game."""

    z: Array
    h: Array
    short_term: Array  # (T, N, M), as each frame begins
    pulse_j: float


def recursion_of(p: LayerParameters, feed: Array, bins: int, numbers: oracles.Device) -> Played:
    if p.limits is None:
        recursion = oracles.Recursion(p.weight, p.decay, p.gamma, p.bias)
    else:
        recursion = oracles.LimitedRecursion(
            p.weight, p.decay, p.gamma, p.bias, limits=LIMITS, d=numbers
        )
    z, h, short_term = [], [], []
    for x in feed:
        recursion.h = rounded(recursion.h, bins)
        z.append(np.concatenate([rounded(x, bins), recursion.h]))
        short_term.append(recursion.short_term.copy())
        h.append(recursion.step(rounded(x, bins)))
    return Played(np.array(z), np.array(h), np.array(short_term), recursion.pulse_j)


def ledger(p: LayerParameters, played: Played, numbers: oracles.Device) -> Array:
    """Joules by term, the last frame's pulse left out, which is issued in the next."""
    volt = 0.3 + 0.12283266696153589 * np.log(p.decay / (1 - p.decay))
    weight, decay, gamma, volt = (x.T for x in (p.weight, p.decay, p.gamma, volt))
    limits = oracles.IDEAL if p.limits is None else LIMITS
    game = played.h, played.z, weight, decay, gamma, volt
    dense = oracles.dense_ledger(*game, T_S, numbers, limits)
    return np.asarray(dense.energy_j.sum(axis=(0, 1, 2)))


@pytest.mark.parametrize(
    ("target", "bins", "limited"),
    [
        ("numpy", 2, False),
        ("numpy", 16, True),
        ("numpy", 50, False),
        ("cython", 256, True),
    ],
)
def test_spikes_equal_the_recursion_on_rounded_values(
    target: str,
    bins: int,
    limited: bool,
    device: Memristor,
    numbers: oracles.Device,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(prefs, "codegen.target", target)
    p, feed = parameters(limited=limited), frames(200)
    played = recursion_of(p, feed, bins, numbers)
    net = SpikingMSTPNNetwork(p, device, T_STEP, SpikeCode(bins, FULL))
    for k, x in enumerate(feed):
        # F fades by a power of the share that a bin leaves, whose rounding grows with the bins
        np.testing.assert_allclose(net.step(x), played.h[k], rtol=0, atol=1e-12)
        np.testing.assert_allclose(net.z, played.z[k], rtol=1e-15)
        now = p.decay * played.short_term[k]
        np.testing.assert_allclose(net.short_term.reshape(-1, N_HIDDEN).T, now, atol=1e-12)
    expected = ledger(p, played, numbers)
    spent = [float(net.energy()[term] / joule) for term in ("pulse", "bias", "read")]
    assert spent == pytest.approx(expected, rel=1e-11)
    assert float(net.time / ms) == pytest.approx(200 * 50)


def test_more_bins_are_nearer_to_graded_values(device: Memristor) -> None:
    """The error of a value is at most half a bin, so that of h falls as the bins grow."""
    p, feed = parameters(1), np.clip(frames(40), -FULL, FULL)
    graded = MSTPNNetwork(p, device, T_STEP)
    right = np.array([graded.step(x) for x in feed])
    error = []
    for bins in (4, 16, 64, 256):
        net = SpikingMSTPNNetwork(p, device, T_STEP, SpikeCode(bins, FULL))
        error.append(np.sqrt(np.mean((np.array([net.step(x) for x in feed]) - right) ** 2)))
    # four times the bins, a quarter of the error, but for the feedback of h
    assert all(3 < a / b < 5.5 for a, b in itertools.pairwise(error[1:]))
    assert error[0] > error[1]
    assert error[-1] < FULL / 256 / 2


def test_each_active_input_spikes_once_at_its_time(
    device: Memristor, numbers: oracles.Device
) -> None:
    bins, p, feed = 16, parameters(2), frames(40)
    half = FULL / bins / 2
    feed[:, :3] = 0.99 * half, 1.01 * half, -2 * FULL  # no spike, the last bin, the first
    net = SpikingMSTPNNetwork(p, device, T_STEP, SpikeCode(bins, FULL))
    spikes = SpikeMonitor(net.presynaptic, variables="line")
    currents = StateMonitor(net.neurons, "I", record=True, when="after_synapses")
    net.net.add(spikes, currents)
    outputs = np.array([net.step(x) for x in feed])
    before = np.concatenate([np.zeros((1, N_HIDDEN)), outputs[:-1]])
    sent = np.concatenate([feed, before], axis=1)
    left = bins_left(sent, bins)
    frame, unit = np.nonzero(left)
    when = frame * bins + bins - left[frame, unit]
    found = np.round(np.asarray(spikes.t[:] / T_STEP) * bins)
    assert sorted(zip(when, unit, strict=True)) == sorted(zip(found, spikes.i[:], strict=True))
    in_frame, mine = (found // bins).astype(int), np.asarray(spikes.i[:])
    np.testing.assert_array_equal(spikes.line[:], np.sign(sent[in_frame, mine]))
    assert not (mine == 0).any()
    assert set(found[mine == 1] % bins) == {bins - 1}
    assert set(found[mine == 2] % bins) == {0}

    # a current steps at spikes alone, by what its rows carry
    played = recursion_of(p, feed, bins, numbers)
    total = p.weight + played.short_term
    on = np.sign(sent)[:, None] * (left[:, None] >= bins - np.arange(bins)[:, None])
    expected = numbers.v_read * numbers.kappa * np.einsum("tnm,tbm->tbn", total, on)
    recorded = np.asarray(currents.I[:]).T.reshape(40, bins, N_HIDDEN)
    np.testing.assert_allclose(recorded, expected, rtol=0, atol=1e-11 * np.abs(expected).max())


def test_a_read_takes_what_its_pulse_is_wide(device: Memristor, numbers: oracles.Device) -> None:
    """Summed spike by spike, from the times of a monitor."""
    bins, p, feed = 32, parameters(3), frames(50)
    net = SpikingMSTPNNetwork(p, device, T_STEP, SpikeCode(bins, FULL))
    spikes = SpikeMonitor(net.presynaptic)
    net.net.add(spikes)
    for x in feed:
        net.step(x)
    played = recursion_of(p, feed, bins, numbers)
    at = np.asarray(spikes.t[:] / second) / T_S
    k = np.floor(at + 0.5 / bins).astype(int)
    width = (k + 1 - at) * FULL * numbers.t_read  # of the read phase, until its end
    total = (p.weight + played.short_term)[k, :, spikes.i[:]]
    power = numbers.v_read**2 * (numbers.g_offset + numbers.kappa * total)
    expected = float((power * width[:, None]).sum())
    assert float(net.energy()["read"] / joule) == pytest.approx(expected, rel=1e-11)


def test_step_equals_brian2s_own_run_loop(device: Memristor) -> None:
    p, feed, spike_code = parameters(4), frames(12), SpikeCode(10, FULL)
    stepped = SpikingMSTPNNetwork(p, device, T_STEP, spike_code)
    ours = np.array([stepped.step(x) for x in feed])
    long = SpikingMSTPNNetwork(p, device, T_STEP, spike_code)
    outputs: list[Array] = []

    def present(t: Quantity) -> None:
        h = long.neurons.h[:].copy()
        outputs.append(h)
        long.presynaptic.x = np.concatenate([feed[round(float(t / T_STEP))], h])

    operation = NetworkOperation(present, clock=long.clock, when="before_start", order=-1)
    long.net.add(operation)
    long.net.run(12 * T_STEP, namespace={})
    np.testing.assert_array_equal(ours, [*outputs[1:], long.neurons.h[:]])
    for term, energy in stepped.energy().items():
        assert float(energy) == float(long.energy()[term])


def test_it_goes_on_from_a_state_and_begins_anew_to_the_last_bit(device: Memristor) -> None:
    p, feed, spike_code = parameters(5), frames(20), SpikeCode(8, FULL, "shuffled")

    def of(net: SpikingMSTPNNetwork, x: Array) -> list[float]:
        outputs = np.ravel([net.step(one) for one in x])
        return [*outputs, *(float(e) for e in net.energy().values()), float(net.time)]

    whole = SpikingMSTPNNetwork(p, device, T_STEP, spike_code)
    whole.reset(3)
    half, rest = of(whole, feed[:10]), None
    state = whole.state()
    rest = of(whole, feed[10:])
    other = SpikingMSTPNNetwork(p, device, T_STEP, spike_code)
    other.reset(3)
    other.restore(state)
    assert of(other, feed[10:]) == rest
    whole.reset(3)
    assert of(whole, feed[:10]) == half
    whole.reset(4)
    assert of(whole, feed[:10]) != half


def test_other_times_leave_which_inputs_spike_and_their_signs() -> None:
    x = frames(1, seed=9)[0]
    spiking = bins_left(x, 16) > 0
    shuffled, mean = x.copy(), x.copy()
    SpikeCode(16, FULL, "shuffled").retime(shuffled, 5, 2)
    SpikeCode(16, FULL, "mean").retime(mean, 5, 2)
    for other in (shuffled, mean):
        np.testing.assert_array_equal(np.sign(other), np.sign(x))
        np.testing.assert_array_equal(other[~spiking], x[~spiking])
    np.testing.assert_array_equal(np.sort(np.abs(shuffled)), np.sort(np.abs(x)))
    assert (shuffled != x).any()
    np.testing.assert_allclose(np.abs(mean[spiking]), np.abs(x[spiking]).mean(), rtol=1e-12)
    again = x.copy()
    SpikeCode(16, FULL, "shuffled").retime(again, 5, 3)
    assert (again != shuffled).any()
    nothing = np.zeros(4)
    SpikeCode(16, FULL, "mean").retime(nothing, 5, 3)
    assert not nothing.any()


def test_bad_input_is_refused(device: Memristor) -> None:
    for bins in (1, 257, 2.5):
        with pytest.raises(ValueError, match=rf"bins must be an integer in \[2, 256\], got {bins}"):
            SpikeCode(bins, FULL)  # type: ignore[arg-type]
    for full_scale in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="full_scale must be positive and finite, got"):
            SpikeCode(8, full_scale)
    with pytest.raises(ValueError, match="times must be one of own, shuffled, mean, got 'late'"):
        SpikeCode(8, FULL, "late")
    net = SpikingMSTPNNetwork(parameters(), device, T_STEP, SpikeCode(8, FULL))
    with pytest.raises(ValueError, match=r"features must have shape \(30,\), got \(31,\)"):
        net.step(np.zeros(31))
    net.net.add(StateMonitor(net.neurons, "h", record=True, clock=Clock(1 * ms), name="own*"))
    with pytest.raises(ValueError, match=r"own.* must be on the network's clock"):
        net.step(np.zeros(30))
    spread, spike_code = Nonidealities(w_noise=0.1), SpikeCode(8, FULL)
    with pytest.raises(ValueError, match="spikes need ideal devices, got nonidealities"):
        BrianAgent(
            load_checkpoint(DEFAULT_CHECKPOINT),
            Memristor.from_file(),
            STEP_DURATION,
            spread,
            spike_code,
        )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--bins", "8"], "--bins and --full-scale need --coding spikes"),
        (["--full-scale", "2"], "--bins and --full-scale need --coding spikes"),
        (["--coding", "spikes", "--bins", "257"], "bins must be an integer in [2, 256], got 257"),
        (["--coding", "spikes", "--bins", "1"], "--bins: must be an integer >= 2, got '1'"),
        (["--coding", "spikes", "--full-scale", "0"], "--full-scale: must be a positive number"),
        (
            ["--coding", "spikes", "--nonideal", "delta_f_std=0.3"],
            "--coding spikes is for ideal devices, leave --nonideal out",
        ),
    ],
)
def test_the_command_refuses_in_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in scripts.refusal(scripts.load("pong"), words, capsys)


def test_pong_in_spikes_acts_as_the_rounded_twin() -> None:
    checkpoint, device = load_checkpoint(DEFAULT_CHECKPOINT), Memristor.from_file()
    spike_code = SpikeCode(16, full_scale_of(checkpoint.config.normalisation))
    agent = BrianAgent(checkpoint, device, STEP_DURATION, spike_code=spike_code)
    pong = Pong(sticky=0.25)
    game = Game(pong, agent, 7, twin=TwinAgent(checkpoint, device, rounding(spike_code)))
    actions = set()
    for frame in game.frames():
        actions.add(frame.action)
        if frame.decisions == 120:
            break
    pong.close()
    record = game.record()
    assert len(actions) > 2
    assert record.twin_action_agreement == 1
    assert record.twin_max_abs_difference is not None
    # rounding of sums of 2656 terms, which 120 steps of feedback amplify
    assert record.twin_max_abs_difference < 1e-9
    assert record.saturation["inputs_at_full_scale"] == 0
    bins = np.unique(np.abs(frame.z)) / spike_code.bin_size
    np.testing.assert_array_equal(bins, np.round(bins))


def test_an_array_whose_devices_deviate_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Array:
        """Programmed with a spread."""

        def put_on(self, checkpoint: object) -> object:
            return checkpoint

        def nonidealities(self, _settings: object) -> Nonidealities:
            return Nonidealities(weight_dtod=0.01)

    monkeypatch.setattr("mstpn.commands.work.playing.load_array", lambda *_: Array())
    words = ["--coding", "spikes", "--array", str(Path("some.npz"))]
    said = scripts.refusal(scripts.load("pong"), words, capsys)
    assert "leave --array, whose devices are not ideal, out" in said


def test_normalised_vectors_have_a_full_scale_of_one(device: Memristor) -> None:
    p = replace(parameters(6), normalisation="l2")
    net = SpikingMSTPNNetwork(p, device, T_STEP, SpikeCode(256, full_scale_of("l2")))
    graded = MSTPNNetwork(p, device, T_STEP, rounding(SpikeCode(256, 1.0)))
    for x in frames(20):
        np.testing.assert_allclose(net.step(x), graded.step(x), rtol=0, atol=1e-12)
    assert full_scale_of("none") == 4
