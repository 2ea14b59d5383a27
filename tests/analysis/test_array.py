"""What an array carries, counted by hand in plain loops, and what is answered from it."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import oracles
import pytest
import scripts
import torch
from brian2.units import amp, ohm, second, volt, watt

from mstpn.analysis.array.limits import limits
from mstpn.analysis.array.page import html, text
from mstpn.analysis.array.rows import Facts, Number, Row, lasting, rows, verdict
from mstpn.analysis.array.traffic import Traffic, together, traffic
from mstpn.analysis.energy.ledger import ledger, save
from mstpn.analysis.energy.policies import trained
from mstpn.analysis.energy.recording import Recording
from mstpn.bridge.conversion import nearest_decay, within_limits
from mstpn.bridge.converter_bits import Bits, Shown, bits_needed, features_of
from mstpn.network.twin.agent import MSTPN
from mstpn.network.twin.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mstpn.network.twin.layer import TwinConfig
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.write_limits import WriteLimits

M, N, T = 5, 3, 12
LIMITS = WriteLimits(0.01, 0.08, -0.5, 0.6)
STEP = 1 / 15
# sums of some thousand numbers of like size in another order
CLOSE: dict[str, Any] = {"rel": 1e-12}


def recording(limits: WriteLimits = LIMITS, seed: int = 0) -> Recording:
    rng = np.random.default_rng(seed)
    z = rng.uniform(-1, 2, (T, M)) * (rng.random((T, M)) < 0.6)
    decay = np.full((M, N), 0.2)
    decay[3:] = 0.6
    return Recording(
        weight=rng.uniform(-0.4, 0.5, (M, N)),
        decay=decay,
        gamma=rng.uniform(-0.1, 0.1, (M, N)) * (rng.random((M, N)) < 0.8),
        step_duration=STEP * second,
        h=rng.uniform(-1, 1, (T, N)),
        event_count=(z != 0).sum(axis=1),
        event_unit=np.nonzero(z)[1],
        event_z=z[z != 0],
        limits=limits,
    )


def by_hand(game: Recording, numbers: oracles.Device) -> dict[str, Any]:
    """Every frame and device in turn."""
    z = game.dense(game.event_z, 0, T).T
    slope = 0.3 / math.log(0.92 / 0.08)
    volts = 0.3 + slope * np.log(game.decay / (1 - game.decay))
    f, count = np.zeros((M, N)), np.zeros((M, N))
    found: dict[str, Any] = {
        name: [] for name in ("row", "column", "b_row", "b_column", "power", "u", "update", "n")
    }
    for t in range(T):
        moved, issued = np.zeros((M, N)), 0
        for i, j in np.ndindex(M, N):
            before = game.h[t - 1, j] * z[t - 1, i] if t else 0.0
            wanted = float(game.gamma[i, j] * before)
            size: float = min(abs(wanted), game.limits.delta_f_max)
            size = 0.0 if abs(wanted) < game.limits.delta_f_min else size
            if size > 0:
                issued += 1
                count[i, j] += 1
            faded = game.decay[i, j] * f[i, j]
            low, high = game.limits.total_min, game.limits.total_max
            moved_to = faded + math.copysign(size, wanted) + game.weight[i, j]
            total = float(np.clip(moved_to, low, high))
            f[i, j] = total - game.weight[i, j]
            moved[i, j] = f[i, j] - faded
        g = numbers.g_offset + numbers.kappa * (game.weight + f)
        on = [i for i in range(M) if z[t, i]]
        found["row"] += [numbers.v_read * g[i].sum() for i in on]
        for j in range(N):
            net = sum(math.copysign(g[i, j], z[t, i]) for i in on)
            found["column"].append(numbers.v_read * abs(net))
            found["b_column"].append((volts * g)[:, j].sum())
            found["u"].append(abs(sum(z[t, i] * (game.weight + f)[i, j] for i in on)))
            found["update"].append(abs(moved[:, j].sum()))
        found["b_row"] += list((volts * g).sum(1))
        found["power"].append((volts**2 * g).sum())
        found["n"].append(issued)
    return found | {"count": count}


@pytest.mark.parametrize(
    "limits", [LIMITS, WriteLimits(), WriteLimits(delta_f_min=0.05)], ids=["all", "none", "least"]
)
def test_traffic_is_that_of_plain_loops(
    limits: WriteLimits, device: Memristor, numbers: oracles.Device
) -> None:
    game = recording(limits)
    found, hand = traffic(game, device), by_hand(game, numbers)
    np.testing.assert_array_equal(found.pulses, hand["count"])
    assert found.pulses_frame == max(hand["n"])
    for name, value in {
        "row": found.read_row / amp,
        "column": found.read_column / amp,
        "b_row": found.bias_row / amp,
        "b_column": found.bias_column / amp,
        "power": found.bias_power / watt,
        "u": found.u_most,
    }.items():
        assert float(value) == pytest.approx(max(hand[name]), **CLOSE), name
    assert float(found.read_row_mean / amp) == pytest.approx(np.mean(hand["row"]), **CLOSE)
    assert float(found.read_column_mean / amp) == pytest.approx(np.mean(hand["column"]), **CLOSE)
    # where W + F meets its window dF is what is left of it: the sum of what was added
    assert found.column_update == pytest.approx(max(hand["update"]), rel=1e-9)
    assert (found.z_least, found.z_most) == (game.event_z.min(), game.event_z.max())


def test_bias_power_in_the_mean_is_what_the_ledger_counts(device: Memristor) -> None:
    game = recording()
    account = ledger(game, device, trained(game, device).bias_voltage)
    joules = float(account.synapse_energy.sel(term="bias").sum())
    found = traffic(game, device)
    assert float(found.bias_power_mean / watt) == pytest.approx(joules / (T * STEP), **CLOSE)


def test_games_add_up(device: Memristor) -> None:
    games = [traffic(recording(seed=k), device) for k in range(3)]
    both = together(games)
    alone = together(games[:1])
    for name, value in vars(games[0]).items():  # a mean is multiplied and divided by the time
        np.testing.assert_allclose(getattr(alone, name), value, rtol=1e-15)
    np.testing.assert_array_equal(both.pulses, sum(g.pulses for g in games))
    assert (both.n_games, both.n_frames) == (3, 3 * T)
    assert both.u_most == max(g.u_most for g in games)
    assert both.z_least == min(g.z_least for g in games)
    means = [float(g.bias_power_mean / watt) for g in games]
    assert float(both.bias_power_mean / watt) == pytest.approx(np.mean(means), **CLOSE)


def facts(device: Memristor, game: Traffic, **changes: Any) -> Facts:
    known: dict[str, Any] = {
        "device": device,
        "limits": limits(),
        "traffic": game,
        "step": STEP * second,
        "bias_lines": "block",
        "voltages": np.array([[0.1, 0.2]]) * volt,
        "step_time": {"rows_mean": 2.0, "rows_max": 4, "time_mean": 0.003, "time_max": 0.006},
        "sags": {"read": 0.02, "read_mean": 0.01, "bias": 0.06},
        "resistances": {"read": 2.5 * ohm, "bias": 0.8 * ohm},
        "bits": Bits(6, None, {5: 0.9, 6: 0.995}, {16: 0.5}, None),
        "programming": {
            **{"time_s": 60.0, "pulse_time_rows_s": 50.0, "pulse_time_serial_s": 900.0},
            **{"pulse_j": 1e-4, "half_selected_j": 0.2, "read_j": 1e-7, "pulses_median": 11},
            **{"given_up": 3, "devices": 15},
        },
        "tolerance": 0.02,
    }
    return Facts(**known | changes)


def test_answers_follow_from_number_and_limit(device: Memristor) -> None:
    game = traffic(recording(), device)
    found = {row.key: row for row in rows(facts(device, game))}
    assert {key: row.answer for key, row in found.items()} == {
        "bias lines": "yes",
        "line current": "yes",
        "step time": "yes",
        "bias power": "yes",
        "half selection": "no" if game.column_update / 16 > 0.1 * (2 / 3.5) ** 4 else "yes",
        "read sag": "yes",
        "bias sag": "no",
        "input bits": "yes",
        "output bits": "no",
        "programming": "yes",
        "retention": "unknown",
        "endurance": "unknown",
        "area": "yes",
    }
    fullest = found["step time"].number
    assert fullest is not None
    assert fullest.value == pytest.approx(0.006 / 15)
    said = verdict(found.values())
    assert said.startswith("Buildable but for ")
    assert "lines that take 6.00 % of a held voltage" in said
    assert said.endswith("not known: how long W is kept and how many pulses a device bears.")


def of(row: Row, name: str) -> float:
    return next(n.value for n in row.beside if n.name.startswith(name))


def test_wear_retention_and_area_by_hand(device: Memristor) -> None:
    game = traffic(recording(), device)
    known = facts(device, game, endurance=1e6, retention=6000 * second)
    found = {row.key: row for row in rows(known)}
    wear, most = found["endurance"], float(game.pulses.max())
    a_second = most / (T * STEP)
    assert wear.number is not None
    assert wear.number.value == pytest.approx(a_second * 10 * 365.25 * 86400)
    assert wear.answer == "no"
    assert of(wear, "worn out") == pytest.approx(1e6 / a_second)
    assert of(wear, "that is, games") == pytest.approx(1e6 / most)
    kept = found["retention"]
    assert kept.answer == "yes"
    assert of(kept, "share") == pytest.approx(0.01)
    assert of(kept, "power") == pytest.approx(0.2001001 / 6000)
    area = found["area"].number
    assert area is not None
    assert area.value == pytest.approx(M * N * 1e-12)
    assert area.text == "1.50e-05 mm²"
    assert of(found["programming"], "device by device") == 910
    own = facts(device, game, voltages=np.full((N, M), 0.1) * volt, bias_lines="synapse")
    assert rows(own)[0].answer == "no"
    assert rows(facts(device, game, sags={**known.sags, "bias": None}))[6].answer == "unknown"


def test_a_device_that_no_pulse_reaches_is_not_worn(device: Memristor) -> None:
    still = traffic(recording().replace(gamma=np.zeros((M, N))), device)
    found = rows(facts(device, still, endurance=10.0))
    assert {row.key: row.answer for row in found}["endurance"] == "yes"
    assert {row.key: row.answer for row in found}["half selection"] == "yes"


def test_limits_are_those_that_are_given() -> None:
    found = limits(["sag=0.1", "line_current=50", "pitch_from=100"])
    assert float(found["line_current"].value / amp) == pytest.approx(50e-6)
    assert (found["sag"].value, found["sag"].provenance) == (0.1, "given")
    assert found["input_bits"].value == 8
    assert {e.provenance for e in found.values()} == {"given", "assumed", "cited"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["colour=1"], r"limit must be name=value, name of .*line_current \(uA\).*: 'colour=1'"),
        (["endurance_low=1"], "limit must be name=value"),
        (["sag=1"], "limit sag must be below 1, got 1"),
        (["area=0"], "limit area must be positive and finite, got 0"),
        (["area=x"], "limit area must be a number, got 'x'"),
        (["area=1", "area=2"], "limit area is given twice"),
        (["pitch_from=2000"], "limit pitch_from must not be above pitch_to, got 2. um and 1. um"),
    ],
)
def test_other_limits_are_refused(settings: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        limits(settings)


def test_times_read_well() -> None:
    assert [lasting(s) for s in (0.0, 2e-6, 59, 60, 5400, 1.5 * 86400, 31557600.0)] == [
        *("0 s", "2.00 µs", "59.0 s", "1.00 min", "1.50 h", "1.50 days", "1.00 years")
    ]
    assert Number("x", 10.0, "bit").text == "10 bit"
    assert Number("x", 4.73e9).text == "4.73e+09"


def test_page_and_table_have_every_number(device: Memristor) -> None:
    found = rows(facts(device, traffic(recording(), device)))
    page, table = html(found, "a <net>", limits(), device), text(found)
    assert "a &lt;net&gt;" in page
    for row in found:
        assert f'class="answer {row.answer}"' in page
        assert row.answer.upper() in table
        for n in (row.number, row.limit, *row.beside):
            assert n is None or (n.text in table and n.text in page)
    assert max(map(len, table.splitlines())) <= 100


@pytest.fixture(scope="module")
def checkpoint_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("agent") / "agent.safetensors"
    device = Memristor.from_file()
    net = MSTPN(TwinConfig(2, 6, "none", 0.08, 0.92, device.write_limits(), "block"))
    save_checkpoint(net, path, {})
    return path


def played(checkpoint: Checkpoint, n_frames: int) -> Recording:
    """Frames of a network of ten inputs or so, in plain loops."""
    rng = np.random.default_rng(3)
    w, decay, gamma, bias = (
        checkpoint.tensors[f"layer.{name}"].astype(float)
        for name in ("weight", "decay", "gamma", "bias")
    )
    limits = checkpoint.config.limits
    assert limits is not None
    x = np.zeros((n_frames, w.shape[1] - 2))
    x[:, ::200] = rng.exponential(size=(n_frames, 13))
    h, f, z_all, h_all = np.zeros(2), np.zeros_like(w), [], []
    for row in x:
        z = np.concatenate([row, h])
        h = np.tanh((w + f) @ z + bias)
        wanted = gamma * np.outer(h, z)
        size = np.minimum(np.abs(wanted), limits.delta_f_max) * (
            np.abs(wanted) >= limits.delta_f_min
        )
        total = (w + decay * f + np.sign(wanted) * size).clip(limits.total_min, limits.total_max)
        f = total - w
        z_all.append(z)
        h_all.append(h)
    z = np.array(z_all)
    return Recording(
        *(w.T.copy(), decay.T.copy(), gamma.T.copy(), STEP * second),
        h=np.array(h_all),
        event_count=(z != 0).sum(1),
        event_unit=np.nonzero(z)[1],
        event_z=z[z != 0],
        limits=limits,
    )


def test_bits_are_the_fewest_at_which_enough_actions_stay(
    checkpoint_file: Path, device: Memristor
) -> None:
    checkpoint = load_checkpoint(checkpoint_file)
    game = played(checkpoint, 30)
    z = np.ascontiguousarray(game.dense(game.event_z, 0, 30).T)
    shown = Shown(features_of(z, game.h, checkpoint), game.h)
    np.testing.assert_array_equal(shown.features, z[:, :-2])
    found = bits_needed(checkpoint, device, [shown], 0.9, (np.abs(z).max(), 4.0))
    for needed, kept in ((found.inputs, found.kept_inputs), (found.outputs, found.kept_outputs)):
        assert needed == max(kept)
        assert kept.pop(max(kept)) >= 0.9
        assert all(share < 0.9 for share in kept.values())
    never = bits_needed(checkpoint, device, [shown._replace(h=-game.h)], 0.99, (3.0, 4.0))
    assert (never.inputs, max(never.kept_inputs), never.kept_both) == (None, 16, None)


def test_bits_are_those_on_the_device_that_plays(checkpoint_file: Path, device: Memristor) -> None:
    checkpoint = load_checkpoint(checkpoint_file)
    rng = np.random.default_rng(2)
    gamma = rng.uniform(-1, 1, checkpoint.tensors["layer.gamma"].shape).astype(np.float32)
    checkpoint = replace(checkpoint, tensors=checkpoint.tensors | {"layer.gamma": gamma})
    weak = device.varied(pulse_conductance=device.pulse_conductance / 20)
    game = played(within_limits(checkpoint, weak), 60)
    z = np.ascontiguousarray(game.dense(game.event_z, 0, 60).T)
    shown = Shown(features_of(z, game.h, checkpoint), game.h)
    bounds = (np.abs(z).max(), 40.0)
    on_weak = bits_needed(checkpoint, weak, [shown], 1.0, bounds)
    on_own = bits_needed(checkpoint, device, [shown], 1.0, bounds)
    assert on_weak.inputs is not None
    assert on_own.inputs is None  # F of another device


def test_features_are_got_back_from_normalised_inputs(checkpoint_file: Path) -> None:
    checkpoint = load_checkpoint(checkpoint_file)
    scaled = replace(checkpoint, config=replace(checkpoint.config, normalisation="l2"))
    rng = np.random.default_rng(0)
    x, h = rng.exponential(size=(20, 2592)), rng.uniform(-1, 1, (20, 2))
    z = np.hstack([x, np.vstack([np.zeros((1, 2)), h[:-1]])])
    z /= np.linalg.norm(z, axis=1)[:, None]
    found = features_of(z, h, scaled)
    np.testing.assert_allclose(found[1:], x[1:], rtol=1e-12)
    assert np.linalg.norm(found[0]) == pytest.approx(1)


def test_the_program_answers_from_a_ledger(
    checkpoint_file: Path, device: Memristor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    game = played(load_checkpoint(checkpoint_file), 20)
    path = tmp_path / "game.nc"
    save(ledger(game, device, trained(game, device).bias_voltage), path)
    asked = ["--checkpoint", str(checkpoint_file), "--load", str(path), "--ir-drop-rs", "5"]
    asked += ["--tolerance", "0.2", "--endurance", "1e12", "--retention", "10 years"]
    asked += ["--out", str(tmp_path / "out"), "--json", str(tmp_path / "a.json")]
    command = scripts.load("buildable")
    assert command.main([*asked, "--limit", "sag=0.3"]) == 0
    printed = capsys.readouterr().out
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["verdict"] in printed
    answers = {row["question"]: row for row in found["rows"]}
    assert answers["endurance"]["limit"] == {
        **{"name": "endurance", "value": 1e12, "unit": "1"},
        **{"provenance": ["given"], "source": ""},
    }
    assert answers["retention"]["limit"]["value"] == 10 * 31557600
    assert "line, a cell 5 ohm" in printed
    page = (tmp_path / "out/buildable.html").read_text()
    assert "http" not in page.replace("http-equiv", "")
    wrong = ["--load", str(path), "--out", str(tmp_path / "none")]
    said = scripts.refusal(command, wrong, capsys)
    assert said.endswith("game.nc is of another agent, give its --checkpoint\n")
    assert not (tmp_path / "none").exists()


def test_a_device_without_the_agents_decay_is_asked_for_the_nearest(
    checkpoint_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = scripts.FOLDER / "devices/tiox.toml"
    device, checkpoint = Memristor.from_file(file), load_checkpoint(checkpoint_file)
    command, path = scripts.load("buildable"), tmp_path / "game.nc"
    game = played(nearest_decay(checkpoint, device), 20)
    save(ledger(game, device, trained(game, device).bias_voltage), path)
    asked = ["--checkpoint", str(checkpoint_file), "--load", str(path), "--tolerance", "0.2"]
    asked += ["--out", str(tmp_path / "out")]
    said = scripts.refusal(command, asked, capsys)
    assert "game.nc is of other Lambda, give the --device (and --nearest-decay)" in said
    asked += ["--device", str(file)]
    assert "--nearest-decay has it hold the nearest" in scripts.refusal(command, asked, capsys)
    assert command.main([*asked, "--nearest-decay"]) == 0
    assert "Pt/TiOx/Ti, gradual, 40 ms: 1 game" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--load", "x.nc", "--games", "2"], "--games is of games to play, leave it out with"),
        (["--retention", "soon"], "must be a number and one of s, min, h, day, year, got 'soon'"),
        (["--retention", "0 h"], "must be a positive number, got '0'"),
        (["--endurance", "0"], "must be a positive number, got '0'"),
        (["--limit", "sag=2"], "limit sag must be below 1, got 2"),
        (["--load", "nowhere.nc"], "ledger nowhere.nc: no such file"),
        (["--device", "nowhere.toml"], "device file nowhere.toml: No such file"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in scripts.refusal(scripts.load("buildable"), words, capsys)
