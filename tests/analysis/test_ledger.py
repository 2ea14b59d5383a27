"""The ledger against the network's accumulators and an independent dense integration."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
import oracles
import pytest
import xarray as xr
from brian2.units import DimensionMismatchError, Quantity, joule, ms, second, volt
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mstpn.analysis.energy import policies
from mstpn.analysis.energy.energies import TERMS, energies, synapse_energies, trace
from mstpn.analysis.energy.integration import Integration
from mstpn.analysis.energy.ledger import ledger, load_recording, recorded, save
from mstpn.analysis.energy.recording import (
    Recorder,
    Recording,
    RecordingError,
    load_parts,
    parts_folder,
)
from mstpn.bridge.conversion import held_parameters
from mstpn.network.brian import LayerParameters, MSTPNNetwork
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.write_limits import WriteLimits

Array = NDArray[np.float64]
N_FEATURES, N_HIDDEN, N_FRAMES = 30, 7, 150
T_STEP = 50 * ms


@pytest.fixture(scope="session")
def device() -> Memristor:
    """Its Lambda refers to the step of these tests."""
    return Memristor.from_file().varied(decay_duration=T_STEP)


def features(seed: int = 1) -> Array:
    """A third active; units 0 to 4 never; silent altogether from frame 60 to 90."""
    rng = np.random.default_rng(seed)
    shape = (N_FRAMES, N_FEATURES)
    x: Array = rng.exponential(size=shape) * (rng.random(shape) < 0.3)
    x[:, :5] = 0
    x[60:90] = 0
    return x


def network(device: Memristor, limits: WriteLimits | None = None) -> MSTPNNetwork:
    rng = np.random.default_rng(0)
    shape = (N_HIDDEN, N_FEATURES + N_HIDDEN)
    parameters = LayerParameters(
        weight=rng.uniform(-0.5, 0.5, shape),
        decay=rng.uniform(0.08, 0.92, shape),
        gamma=rng.uniform(-0.02, 0.02, shape),
        bias=np.zeros(N_HIDDEN),
        normalisation="none",
        limits=limits,
    )
    return MSTPNNetwork(parameters, device, T_STEP)


def recorder(path: Path, net: MSTPNNetwork) -> Recorder:
    return Recorder(path, **held_parameters(net), step_duration=T_STEP, attributes={"seed": "0"})


class Game:
    """A small recorded game and what the network said after every frame."""

    def __init__(self, folder: Path, device: Memristor, limits: WriteLimits | None) -> None:
        net = network(device, limits)
        self.spent: list[list[float]] = []
        self.worst: list[float] = []
        self.faded: list[Array] = []
        with recorder(folder / "small.nc", net) as keeper:
            for x in features():
                h = net.step(x)
                keeper.record(net.z, h)
                self.spent.append([float(net.energy()[term] / joule) for term in TERMS])
                self.worst.append(float(net.energy(worst_case=True)["bias"] / joule))
                self.faded.append(np.array(net.synapses.F_now[:]).reshape(-1, N_HIDDEN))
            self.recording = keeper.recording()
        self.voltage: Quantity = np.array(net.synapses.V_bias[:]).reshape(-1, N_HIDDEN) * volt


LIMITS = WriteLimits(0.002, 0.012, -0.51, 0.505)
"""All four bite in the small game."""


@pytest.fixture(scope="module", params=[None, LIMITS], ids=["ideal", "limited"])
def game(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, device: Memristor
) -> Game:
    return Game(tmp_path_factory.mktemp("small"), device, request.param)


@pytest.fixture(scope="module")
def small(game: Game, device: Memristor) -> xr.Dataset:
    return ledger(game.recording, device, game.voltage, synapses=[(12, 3), (0, 0)])


def dense(recording: Recording, voltage: Quantity, d: oracles.Device) -> oracles.DenseLedger:
    return oracles.dense_ledger(
        recording.h,
        recording.dense(recording.event_z, 0, recording.n_frames).T,
        recording.weight,
        recording.decay,
        recording.gamma,
        np.asarray(voltage / volt),
        float(recording.step_duration / second),
        d,
        astuple(recording.limits),
    )


def test_synapses_frames_and_the_network_add_up_to_the_same(small: xr.Dataset, game: Game) -> None:
    # sums of some 40,000 numbers in another order: rounding of about 1e-14
    for k, term in enumerate(TERMS):
        by_synapse = float(small.synapse_energy.sel(term=term).sum())
        by_frame = float(small.frame_energy.sel(term=term).sum())
        assert by_synapse == pytest.approx(game.spent[-1][k], rel=1e-12)
        assert by_frame == pytest.approx(game.spent[-1][k], rel=1e-12)


def test_running_totals_are_the_networks_after_every_frame(small: xr.Dataset, game: Game) -> None:
    running = small.frame_energy.cumsum("frame").values
    np.testing.assert_allclose(running, game.spent, rtol=1e-12, atol=0)


def test_every_frame_and_synapse_equals_the_dense_integration(
    small: xr.Dataset, game: Game, numbers: oracles.Device
) -> None:
    expected = dense(game.recording, game.voltage, numbers)
    per_synapse = expected.energy_j.sum(axis=0)
    # a pulse energy of 0 must be exactly 0, hence no absolute tolerance
    np.testing.assert_allclose(small.synapse_energy, per_synapse, rtol=1e-12, atol=0)
    per_frame = expected.energy_j.sum(axis=(1, 2))
    np.testing.assert_allclose(small.frame_energy, per_frame, rtol=1e-12, atol=0)


def test_traces_are_exact_at_every_frame_and_not_of_the_last_event(
    small: xr.Dataset, game: Game, numbers: oracles.Device
) -> None:
    expected = dense(game.recording, game.voltage, numbers)
    for k in range(small.sizes["trace"]):
        at = int(small.trace_presynaptic[k]), int(small.trace_postsynaptic[k])
        f = small.trace_F[k].values
        # F falls to 1e-30 in the silent second; lfilter subtracts nothing, so it keeps digits
        np.testing.assert_allclose(f, expected.short_term[:, *at], rtol=1e-11, atol=1e-300)
        np.testing.assert_allclose(
            small.trace_energy[k], expected.energy_j[:, *at], rtol=1e-11, atol=1e-40
        )
        faded = [after[at] for after in game.faded]
        np.testing.assert_allclose(f * game.recording.decay[at], faded, rtol=1e-10, atol=1e-18)
        assert (small.trace_W[k] == game.recording.weight[at]).all()


def test_first_trace_is_the_synapse_with_the_largest_updates(
    small: xr.Dataset, game: Game, numbers: oracles.Device
) -> None:
    trace = dense(game.recording, game.voltage, numbers).short_term
    updates = np.diff(trace, axis=0) + (1 - game.recording.decay) * trace[:-1]
    sums = np.abs(updates).sum(axis=0)
    i, j = np.unravel_index(sums.argmax(), sums.shape)
    assert (int(small.trace_presynaptic[0]), int(small.trace_postsynaptic[0])) == (i, j)
    assert float(np.abs(small.trace_dF[0]).sum()) == pytest.approx(sums.max(), rel=1e-12)
    np.testing.assert_allclose(small.update_sum, sums, rtol=0, atol=1e-14)
    assert list(zip(small.trace_presynaptic.values, small.trace_postsynaptic.values, strict=True))[
        1:
    ] == [(12, 3), (0, 0)]


def test_limits_of_the_limited_game_all_bite(game: Game, numbers: oracles.Device) -> None:
    r = game.recording
    z = r.dense(r.event_z, 0, r.n_frames)
    wanted = np.abs(r.gamma[..., None] * z[:, None, :-1] * r.h[:-1].T)
    total = r.weight + dense(r, game.voltage, numbers).short_term
    bites = [
        (wanted[wanted > 0] < r.limits.delta_f_min).any(),
        (wanted > r.limits.delta_f_max).any(),
        (total <= r.limits.total_min).any(),
        (total >= r.limits.total_max).any(),
    ]
    assert all(bites) if r.limits == LIMITS else not any(bites)


@given(cuts=st.lists(st.integers(0, N_FRAMES), max_size=4))
def test_splitting_a_game_changes_nothing(game: Game, cuts: list[int]) -> None:
    whole = Integration(game.recording, 0.5, game.recording.decay)
    pieces = Integration(game.recording, 0.5, game.recording.decay)
    for cut in sorted(cuts):
        pieces.advance(cut)
    expected, found = whole.advance(), pieces.advance()
    for name in ("short_term", "added", "read", "below", "pulses", "updates", "read_input"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    for piece, all_at_once in zip(pieces.frame_sums(), whole.frame_sums(), strict=True):
        np.testing.assert_array_equal(piece, all_at_once)


def test_energies_never_decrease(game: Game, device: Memristor) -> None:
    integration = Integration(game.recording, device.energy_exponent)
    before = np.zeros((3, *game.recording.weight.shape))
    for frame in range(1, N_FRAMES + 1):
        spent = synapse_energies(integration.advance(frame), game.recording, device, game.voltage)
        now = np.array([spent[term] / joule for term in TERMS])
        # a bias sum ends in a difference of F's, whose rounding is 1e-16 of the sum
        assert (now >= before * (1 - 1e-14)).all()
        before = now
    assert (before[1] > 0).all()


def test_a_conductance_below_zero_is_counted(
    game: Game, device: Memristor, numbers: oracles.Device
) -> None:
    wild = game.recording.replace(gamma=100 * game.recording.gamma, limits=WriteLimits())
    found = ledger(wild, device, game.voltage).frames_below_zero.values
    conductance = numbers.g_offset + numbers.kappa * (
        wild.weight + dense(wild, game.voltage, numbers).short_term
    )
    assert found.sum() > 100
    np.testing.assert_array_equal(found, (conductance < 0).sum(axis=0))


def test_bias_is_linear_in_time_and_the_rest_does_not_depend_on_it(
    game: Game, device: Memristor
) -> None:
    once = energies(game.recording, device, game.voltage)
    longer = game.recording.replace(step_duration=4 * T_STEP)
    fourfold = energies(longer, device, game.voltage)
    assert float(fourfold["bias"] / once["bias"]) == pytest.approx(4, rel=1e-14)
    assert float(fourfold["pulse"] / once["pulse"]) == 1
    assert float(fourfold["read"] / once["read"]) == 1


def test_worst_case_policy_is_the_networks(game: Game, device: Memristor) -> None:
    held = policies.worst_case(game.recording, device)
    spent = energies(held.recording, device, held.bias_voltage)["bias"]
    assert float(spent / joule) == pytest.approx(game.worst[-1], rel=1e-12)


def test_trained_policy_holds_what_the_network_held(game: Game, device: Memristor) -> None:
    held = policies.trained(game.recording, device)
    np.testing.assert_allclose(held.bias_voltage / volt, game.voltage / volt, rtol=1e-12)


def test_cheapest_policy_spares_synapses_without_memory(game: Game, device: Memristor) -> None:
    held = policies.cheapest(game.recording, device)
    voltage = np.asarray(held.bias_voltage / volt)
    assert (voltage[:5] == 0).all()  # never active
    np.testing.assert_allclose(voltage[5:], np.asarray(game.voltage / volt)[5:], rtol=1e-12)


@pytest.mark.parametrize("decay", [0.08, 0.5, 0.92])
def test_cheapest_voltage_for_a_decay_just_keeps_it(
    decay: float, game: Game, device: Memristor, numbers: oracles.Device
) -> None:
    held = policies.cheapest(game.recording, device, decay)
    np.testing.assert_allclose(device.decay(held.bias_voltage), decay, rtol=1e-9)
    spent = energies(held.recording, device, held.bias_voltage)
    expected = dense(held.recording, held.bias_voltage, numbers).energy_j.sum(axis=(0, 1, 2))
    for k, term in enumerate(TERMS):
        assert float(spent[term] / joule) == pytest.approx(expected[k], rel=1e-12)


def test_a_decay_below_the_range_costs_the_lowest_voltage(game: Game, device: Memristor) -> None:
    held = policies.cheapest(game.recording, device, 0.0)
    assert float(np.max(held.bias_voltage) / volt) == pytest.approx(0, abs=1e-9)
    with pytest.raises(ValueError, match=r"decay must lie in \[0, 0.92\], got 0.95"):
        policies.cheapest(game.recording, device, 0.95)


def test_file_holds_units_provenance_and_the_game(
    small: xr.Dataset, game: Game, device: Memristor, tmp_path: Path
) -> None:
    save(small, tmp_path / "a.nc")
    assert [p.name for p in tmp_path.iterdir()] == ["a.nc"]
    with xr.open_dataset(tmp_path / "a.nc") as file:
        for name, variable in file.data_vars.items():
            assert {"units", "long_name", "provenance"} <= variable.attrs.keys(), name
        assert "assumed: pulse_energy" in file.synapse_energy.attrs["provenance"]
        constants = json.loads(file.attrs["device_constants"])
        assert constants["bias_power"]["value"] == "4.3 nW"
        assert constants["bias_power"]["provenance"] == "digest"
        np.testing.assert_array_equal(file.synapse_energy, small.synapse_energy)
    again = load_recording(tmp_path / "a.nc")
    assert again.attributes == {"seed": "0"}
    assert again.limits == game.recording.limits
    for name in ("weight", "decay", "gamma", "h", "event_count", "event_unit", "event_z"):
        np.testing.assert_array_equal(getattr(again, name), getattr(game.recording, name))
    assert float(again.step_duration) == float(T_STEP)


_CRASHING = """
import os, signal, sys
from pathlib import Path
import numpy as np
from test_ledger import LIMITS, T_STEP, features, network, recorder
from mstpn.synapses.support.brian_target import use_target
from mstpn.synapses.memristor import Memristor
use_target("numpy")
device = Memristor.from_file().varied(decay_duration=T_STEP)
net = network(device, LIMITS if sys.argv[2] == "limited" else None)
keeper = recorder(Path(sys.argv[1]), net)
for k, x in enumerate(features()):
    h = net.step(x)
    keeper.record(net.z, h)
    if k == 140:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_program_keeps_what_it_recorded(
    game: Game, device: Memristor, tmp_path: Path
) -> None:
    path = tmp_path / "killed.nc"
    kind = "limited" if game.recording.limits == LIMITS else "ideal"
    done = subprocess.run(
        [sys.executable, "-c", _CRASHING, path, kind],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, Path(__file__).parents[:2]))},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    kept = load_recording(parts_folder(path))
    assert kept.n_frames == 128  # two parts of 64 of the 141 frames
    assert kept.limits == game.recording.limits
    # Another process, another alignment in memory: BLAS adds in another order, and the network
    # carries the last bits on through 128 frames.
    np.testing.assert_allclose(kept.h, game.recording.h[:128], rtol=0, atol=1e-12)
    totals = ledger(kept, device, game.voltage).frame_energy.sum("frame").values
    np.testing.assert_allclose(totals, game.spent[127], rtol=1e-11)
    with pytest.raises(RecordingError, match="holds an unfinished game"):
        recorder(path, network(device))


def test_integrated_while_it_is_played_is_the_same_as_afterwards(
    game: Game, device: Memristor, tmp_path: Path
) -> None:
    """To the last bit, the game stopped at frame 100 and gone on with."""
    r, path = game.recording, tmp_path / "played.nc"
    how: dict[str, Any] = {
        "parameters": {name: getattr(r, name) for name in ("weight", "decay", "gamma", "limits")},
        "step_duration": T_STEP,
        "attributes": dict(r.attributes),
    }

    def play(start: int, stop: int, resume_at: int | None) -> None:
        with recorded(path, device, **how, resume_at=resume_at) as keeper:
            for t in range(start, stop):
                keeper.record(r.dense(r.event_z, t, t + 1)[:, 0], r.h[t])
            if stop < r.n_frames:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play(0, 100, None)
    play(100, r.n_frames, 100)
    voltage = policies.trained(r, device).bias_voltage
    expected = ledger(r, device, voltage, attributes={"bias": "trained"})
    with xr.open_dataset(path) as played:
        xr.testing.assert_identical(played.load(), expected)


def test_an_error_leaves_the_frames_so_far_and_no_ledger(device: Memristor, tmp_path: Path) -> None:
    path, net = tmp_path / "g.nc", network(device)

    def play() -> None:
        with recorded(
            path,
            device,
            parameters=held_parameters(net),
            step_duration=T_STEP,
            attributes={},
        ) as keeper:
            for x in features()[:10]:
                h = net.step(x)
                keeper.record(net.z, h)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play()
    assert not path.exists()
    assert load_parts(parts_folder(path)).n_frames == 10


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def _missing_variable(path: Path) -> None:
    with xr.open_dataset(path) as file:
        less = file.load().drop_vars("gamma")
    less.to_netcdf(path)


def _not_finite(path: Path) -> None:
    with xr.open_dataset(path) as file:
        damaged = file.load().copy(deep=True)
    damaged.h[3, 2] = np.nan
    damaged.to_netcdf(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (Path.unlink, "no such file"),
        (lambda p: p.write_bytes(b"CDF?"), "ledger"),
        (_truncated, "ledger"),
        (_missing_variable, "gamma"),
        (_not_finite, "h must be finite"),
    ],
)
def test_a_damaged_ledger_is_refused_in_one_line(
    damage: Any, message: str, small: xr.Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "a.nc"
    save(small, path)
    damage(path)
    with pytest.raises(RecordingError, match=message) as refused:
        load_recording(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_other_tools_add_is_no_damage(small: xr.Dataset, game: Game, tmp_path: Path) -> None:
    path, again = tmp_path / "a.nc", tmp_path / "b.nc"
    save(small, path)
    with xr.open_dataset(path) as dataset:
        dataset.load()
    dataset.attrs |= {"history": "ncks", "NCO": "5.1"}
    dataset["weight"].attrs["note"] = "x"
    numeric = [name for name, v in dataset.data_vars.items() if v.dtype.kind in "fiu"]
    dataset.to_netcdf(again, encoding={name: {"zlib": True} for name in numeric})
    assert load_recording(again).digest() == load_recording(path).digest()
    assert "history" not in load_recording(again).attributes


def test_damaged_parts_are_refused(game: Game, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="No such file"):
        load_parts(tmp_path)
    net = network(Memristor.from_file().varied(decay_duration=T_STEP))
    keeper = recorder(tmp_path / "a.nc", net)
    with pytest.raises(RecordingError, match="holds no frame yet"):
        keeper.recording()
    keeper.record(net.z, net.step(features()[0]))
    keeper.flush()
    (part,) = keeper.folder.glob("0*.npz")
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(RecordingError, match=part.name):
        keeper.recording()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"h": np.zeros((3, N_HIDDEN))}, r"h must have shape \(150, 7\), got \(3, 7\)"),
        ({"decay": np.ones((37, 7))}, r"decay must lie in \(0, 1\)"),
        ({"step_duration": 0 * second}, "step_duration must be positive"),
    ],
)
def test_bad_recordings_are_refused(change: dict[str, Any], message: str, game: Game) -> None:
    with pytest.raises(RecordingError, match=message):
        replace(game.recording, **change)


def test_wrong_units_and_unknown_synapses_are_refused(game: Game, device: Memristor) -> None:
    with pytest.raises(DimensionMismatchError):
        game.recording.replace(step_duration=1 * volt)
    with pytest.raises(
        ValueError, match=r"synapse must lie in \[0, 37\) x \[0, 7\), got \(37, 0\)"
    ):
        trace(game.recording, device, game.voltage, 37, 0)
    with pytest.raises(ValueError, match=r"stop must lie in \[0, 150\], got 151"):
        Integration(game.recording, 0.5).advance(151)
