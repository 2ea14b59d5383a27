"""The example as its users run it: whole games, files, and one-line errors."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import oracles
import pytest
import scripts
import xarray as xr
from brian2 import prefs
from PIL import Image
from safetensors.numpy import load_file, save_file

from mstpn.analysis.energy.energies import TERMS, energies
from mstpn.analysis.energy.ledger import load_recording
from mstpn.analysis.energy.policies import worst_case
from mstpn.analysis.energy.recording import RecordingError
from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.checkpoints import DEFAULT_CHECKPOINT
from mstpn.bridge.play import Game, GameRecord
from mstpn.bridge.pong import Pong
from mstpn.commands.work import playing
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.checkpoint import load_checkpoint
from mstpn.synapses.memristor import DEFAULT_DEVICE, Memristor

EXAMPLE = scripts.FOLDER / "pong_brian.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    return scripts.load("pong")


def test_a_whole_game_on_the_shipped_checkpoint(numbers: oracles.Device, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, EXAMPLE, "--seed", "1001", "--check-twin"),
            *("--json", tmp_path / "g.json"),
            *("--gif", tmp_path / "g.gif", "--gif-seconds", "20"),
            *("--ledger", tmp_path / "g.nc"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "169,984 memristive synapses" in done.stdout
    summary = json.loads((tmp_path / "g.json").read_text())
    (game,) = summary["games"]
    assert summary["synapses"] == 169_984
    assert summary["mean_return"] == game["return"]
    assert game["twin_action_agreement"] == 1.0
    assert 0 < game["twin_max_abs_difference"] <= 1e-9
    assert game["seed"] == 1001
    assert -21 <= game["return"] <= 21
    assert 4 * (game["decisions"] - 1) < game["frames"] <= 4 * game["decisions"]
    assert game["game_time_s"] == pytest.approx(game["frames"] / 60)
    assert game["step_ms_median"] > 0
    energy = game["energy_j"]
    assert energy.keys() == {"pulse", "bias", "read"}
    assert all(value > 0 for value in energy.values())
    # the bias of a synapse lies between 0 and 0.36 V^2 x 60 nS for the time of the game
    assert energy["bias"] < 169_984 * 0.36 * 60e-9 * game["decisions"] * 4 / 60
    with Image.open(tmp_path / "g.gif") as film:
        # every second one of the 15 decisions of each second
        assert film.n_frames == 20 * 15 // 2  # type: ignore[attr-defined]
        film.seek(film.n_frames - 1)  # type: ignore[attr-defined]
        assert len(np.unique(np.asarray(film.convert("RGB")).reshape(-1, 3), axis=0)) > 10
    assert {p.name for p in tmp_path.iterdir()} == {"g.json", "g.gif", "g.nc"}
    check_ledger(tmp_path / "g.nc", game, numbers)


def check_ledger(path: Path, game: dict[str, Any], d: oracles.Device) -> None:
    recording = load_recording(path)
    assert recording.n_frames == game["decisions"]
    assert recording.attributes == {
        "seed": "1001",
        "checkpoint": DEFAULT_CHECKPOINT.name,
        "bias_lines": "block",
    }
    events = int(recording.event_count.sum())
    # 12 numbers a synapse, 10 bytes an event, 0.7 kB a frame; and the file's own structure
    assert path.stat().st_size < 96 * 169_984 + 10 * events + 800 * recording.n_frames + 2e5
    with xr.open_dataset(path) as file:
        found, voltage = file.synapse_energy.values, file.bias_voltage.values
        frames = file.frame_energy.sum("frame").values
    expected = np.zeros_like(found)
    z = recording.dense(recording.event_z, 0, recording.n_frames).T
    r, limits = recording, astuple(recording.limits)
    parameters = (r.weight, r.decay, r.gamma, voltage, 4 / 60)
    for energy, _ in oracles.dense_frames(r.h, z, *parameters, d, limits):
        expected += energy
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=0)
    for k, term in enumerate(TERMS):
        # sums of 169,984 numbers in another order
        assert found[..., k].sum() == pytest.approx(game["energy_j"][term], rel=1e-12)
        assert frames[k] == pytest.approx(game["energy_j"][term], rel=1e-12)
    held = worst_case(recording, Memristor.from_file())
    worst = energies(held.recording, Memristor.from_file(), held.bias_voltage)["bias"]
    # F that faded is summed event by event there, and in one pass here
    assert float(worst) == pytest.approx(game["worst_case_bias_j"], rel=1e-9)


def test_same_seed_same_game_twice(device: Memristor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(prefs, "codegen.target", "cython")
    checkpoint = load_checkpoint(DEFAULT_CHECKPOINT)

    agent = BrianAgent(checkpoint, device, STEP_DURATION)

    def play(seed: int) -> tuple[list[int], list[float], GameRecord]:
        game = Game(Pong(), agent, seed)
        actions = [frame.action for frame in game.frames()]
        record = game.record()
        return actions, [float(e) for e in record.energy.values()], record

    actions, joules, record = play(7)
    again, joules_again, _ = play(7)
    assert actions == again
    assert joules == joules_again
    assert len(actions) == record.decisions


def pong(*arguments: object) -> list[str]:
    return [sys.executable, str(EXAMPLE), *(str(a) for a in arguments)]


def test_processes_change_nothing_but_the_wall_time(tmp_path: Path) -> None:
    found = []
    for n in (1, 2):
        path, film = tmp_path / f"{n}.json", tmp_path / f"{n}.gif"
        wanted = ("--json", path, "--gif", film, "--gif-seconds", 1, "--ledger", f"{path}.nc")
        command = pong("--games", 2, "--seed", 1001, "--processes", n, "--check-twin", *wanted)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        summary = json.loads(path.read_text())
        for game in summary["games"]:
            assert game.pop("wall_time_s") > 0
            assert game.pop("step_ms_median") > 0
        found.append((summary, film.read_bytes(), load_recording(Path(f"{path}.nc"))))
    (one, pictures, recording), (two, same_pictures, same_recording) = found
    assert two == one
    assert [game["seed"] for game in one["games"]] == [1001, 1002]
    assert same_pictures == pictures
    np.testing.assert_array_equal(same_recording.h, recording.h)
    assert len(list(tmp_path.iterdir())) == 6


def test_a_process_may_begin_while_another_records(example: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "g.nc.parts").mkdir()
    wanted = ["--games", "2", "--processes", "2", "--ledger", str(tmp_path / "g.nc")]
    player = playing.Player(example.parse_arguments([*wanted, "--target", "numpy"]))
    with pytest.raises(RecordingError, match=r"g\.nc\.parts holds an unfinished game"):
        player.play(0)


def group_ends(group: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_an_interrupt_ends_all_processes_with_one_line(tmp_path: Path) -> None:
    command = pong("--games", 4, "--processes", 2, "--ledger", tmp_path / "g.nc")
    playing = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    parts = tmp_path / "g.nc.parts"
    deadline = time.monotonic() + 60
    while not parts.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(playing.pid, signal.SIGINT)  # as a terminal does, to all of them
    out, err = playing.communicate(timeout=30)
    assert (playing.returncode, out, err) == (130, "", "mstpn pong: stopped\n")
    assert group_ends(playing.pid, 10)
    assert list(tmp_path.iterdir()) == [parts]


@pytest.mark.parametrize(
    ("parts", "arguments", "message"),
    [
        (["g.nc.parts"], [], "g.nc.parts holds an unfinished game"),  # before there are processes
        ([], ["--nonideal", "weight_dtod=0.1"], "--ledger is for ideal devices"),  # in each
    ],
)
def test_an_error_in_a_process_is_the_line_of_all(
    parts: list[str], arguments: list[str], message: str, tmp_path: Path
) -> None:
    for name in parts:
        (tmp_path / name).mkdir()
    command = pong("--games", 2, "--processes", 2, "--ledger", tmp_path / "g.nc", *arguments)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not done.stdout


def edited(old: str, new: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        path = folder / "device.toml"
        path.write_text(DEFAULT_DEVICE.read_text().replace(old, new, 1))
        return ["--device", str(path)]

    return make


def damaged(change: Callable[[dict[str, np.ndarray]], None]) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        tensors = load_file(DEFAULT_CHECKPOINT)
        change(tensors)
        path = folder / "agent.safetensors"
        save_file(tensors, path)
        metadata = DEFAULT_CHECKPOINT.with_suffix(".json").read_text()
        path.with_suffix(".json").write_text(metadata)
        return ["--checkpoint", str(path)]

    return make


def truncated(folder: Path) -> list[str]:
    arguments = damaged(lambda t: None)(folder)
    path = Path(arguments[1])
    path.write_bytes(path.read_bytes()[:5000])
    return arguments


def unfinished(folder: Path) -> list[str]:
    (folder / "g.nc.parts").mkdir()
    return ["--ledger", str(folder / "g.nc")]


def stopped(content: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        (folder / "s.npz").write_text(content)
        return ["--state", str(folder / "s.npz")]

    return make


BAD_INPUT: dict[str, tuple[Callable[[Path], list[str]], str]] = {
    "no games": (lambda _: ["--games", "0"], "--games: must be an integer >= 1, got '0'"),
    "no processes": (lambda _: ["--processes", "0"], "--processes: must be an integer >= 1"),
    "negative seed": (lambda _: ["--seed", "-1"], "--seed"),
    "sticky": (lambda _: ["--sticky", "1.5"], "must be a number in [0, 1], got '1.5'"),
    "sticky nan": (lambda _: ["--sticky", "nan"], "argument --sticky: must be a number, got 'nan'"),
    "unknown option": (lambda _: ["--fast"], "--fast"),
    "bias": (lambda _: ["--bias", "best"], "invalid choice: 'best'"),
    "unwritable": (lambda f: ["--json", str(f / "none/g.json")], "cannot write"),
    "ledger": (lambda f: ["--ledger", str(f / "none/g.nc")], "cannot write"),
    "ledger of unlike devices": (
        lambda f: ["--ledger", str(f / "g.nc"), "--nonideal", "weight_dtod=0.1"],
        "--ledger is for ideal devices",
    ),
    "unknown deviation": (
        lambda _: ["--nonideal", "noise=1"],
        "nonideal must be name=value, name of delta_f_std, delta_f_dtod,",
    ),
    "deviation twice": (
        lambda _: ["--nonideal", "drift_nu=1", "--nonideal", "drift_nu=2"],
        "nonideal drift_nu is given twice",
    ),
    "deviation no number": (
        lambda _: ["--nonideal", "drift_nu=x"],
        "nonideal drift_nu must be a number, got 'x'",
    ),
    "deviation out of range": (
        lambda _: ["--nonideal", "corrupt_devices_prob=2"],
        "corrupt_devices_prob must lie in [0, 1], got 2",
    ),
    "resume what": (lambda _: ["--resume"], "--resume needs --state"),
    "film of parts": (
        lambda f: ["--state", str(f / "s.npz"), "--gif", str(f / "g.gif")],
        "--gif films games that are played in one go, leave --state out",
    ),
    "nothing to resume": (
        lambda f: ["--state", str(f / "s.npz"), "--resume"],
        "s.npz: No such file or directory",
    ),
    "a stopped play": (stopped("x"), "s.npz holds a stopped play: go on with --resume, or remove"),
    "a damaged state": (
        lambda f: [*stopped("x")(f), "--resume"],
        "s.npz is damaged: File is not a zip file",
    ),
    "an unfinished game": (unfinished, "g.nc.parts holds an unfinished game"),
    "a folder": (lambda f: ["--gif", str(f)], "cannot write"),
    "missing checkpoint": (
        lambda f: ["--checkpoint", str(f / "none.safetensors")],
        "none.safetensors: no such file",
    ),
    "truncated checkpoint": (truncated, "agent.safetensors"),
    "shape": (
        damaged(lambda t: t.update({"layer.bias": t["layer.bias"][:-1].copy()})),
        "layer.bias must have shape (64,), got (63,)",
    ),
    "nan": (damaged(lambda t: t["layer.weight"].fill(np.nan)), "layer.weight must be finite"),
    "lambda": (damaged(lambda t: t["layer.decay"].fill(0.95)), "layer.decay[0, 0] = 0.95"),
    "weight": (damaged(lambda t: t["layer.weight"].fill(7)), "layer.weight[0, 0] = 7"),
    "device field": (edited("[read_voltage]", "[voltage]"), "unknown field 'voltage'"),
    "device unit": (edited('"nW"', '"nA"'), "'bias_power': unit must be one of W, pW, nW"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_ends_with_one_line_and_status_2(
    case: str,
    tmp_path: Path,
    example: ModuleType,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make, message = BAD_INPUT[case]
    arguments = make(tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    wanted = tmp_path / "result.json"
    said = scripts.refusal(
        example, ["--target", "numpy", "--json", str(wanted), *arguments], capsys
    )
    assert message in said
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_ledger_without_its_extra_says_what_to_install(
    tmp_path: Path,
    example: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "xarray", None)
    monkeypatch.delitem(sys.modules, "mstpn.analysis.energy.ledger", raising=False)
    assert example.main(["--target", "numpy", "--ledger", str(tmp_path / "g.nc")]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("mstpn pong: --ledger needs pip install -e '.[analysis]'")
    assert printed.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_without_a_compiler_the_network_runs_on_numpy_and_says_so_once(tmp_path: Path) -> None:
    code = (
        "from mstpn.synapses.support.brian_target import use_target\n"
        "assert use_target('auto') == 'numpy'\n"
        "try:\n    use_target('cython')\nexcept ValueError as e:\n    print(e)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "", "CC": "/none/cc", "CXX": "/none/c++", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = done.stderr.splitlines()
    assert "numpy target" in line
    assert "target cython needs a C++ compiler" in done.stdout
