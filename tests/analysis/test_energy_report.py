"""The report as its users run it: the paper's numbers, a page with its figures, one-line errors."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import matplotlib.pyplot as plt
import numpy as np
import pytest
import scripts
from brian2.units import second

from mstpn.analysis.energy.ledger import ledger, save
from mstpn.analysis.energy.policies import trained
from mstpn.analysis.energy.recording import Recording
from mstpn.synapses.memristor import DEFAULT_DEVICE, Memristor

EXAMPLE = scripts.FOLDER / "energy_report.py"
FIGURES = {
    *("4c_trace", "4d_zoom", "4e_pulse_energy", "4f_bias_power", "4g_energy_over_time"),
    *("4h_histograms", "4i_per_synapse", "ratios", "break_even"),
}


@pytest.fixture(scope="module")
def example() -> ModuleType:
    return scripts.load("report")


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory, device: Memristor) -> Path:
    """Ledger of 90 frames of 24 x 6 synapses."""
    rng = np.random.default_rng(5)
    shape, n_frames = (24, 6), 90
    z = rng.random((n_frames, 24)) * (rng.random((n_frames, 24)) < 0.4)
    recording = Recording(
        weight=rng.uniform(-0.5, 0.5, shape),
        decay=rng.uniform(0.1, 0.9, shape),
        gamma=rng.uniform(-0.05, 0.05, shape),
        step_duration=1 / 15 * second,
        h=rng.uniform(-1, 1, (n_frames, 6)),
        event_count=(z != 0).sum(axis=1),
        event_unit=np.nonzero(z)[1],
        event_z=z[z != 0],
        attributes={"seed": "5"},
    )
    path = tmp_path_factory.mktemp("game") / "game.nc"
    save(ledger(recording, device, trained(recording, device).bias_voltage), path)
    return path


def test_the_papers_arithmetic(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLE, "--paper-check", "--json", tmp_path / "c.json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "c.json").read_text())
    published = {
        "memristor_mj": 36.0,
        "bias_mj": 35.6,
        "pulse_mj": 0.4,
        "ratio_best_size": 96.2,
        "ratio_own_size": 966.0,
    }
    for result in (found, *found["readings"]):
        assert {k: result[k] for k in published} == pytest.approx(published, rel=5e-3)
    assert [r["steps"] for r in found["readings"]] == [2922, 730]
    for said in ("36.00 mJ", "4.3 nW per synapse (digest)", "derived", "assumed"):
        assert said in done.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["c.json"]


def test_the_papers_arithmetic_follows_the_device_file(
    example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    device = scripts.device_file(tmp_path, bias_power=8.6)
    arguments = ["--paper-check", "--device", str(device), "--json", str(tmp_path / "c.json")]
    assert example.main(arguments) == 0
    found = json.loads((tmp_path / "c.json").read_text())
    assert found["bias_mj"] == pytest.approx(2 * 35.6, rel=5e-3)
    assert found["pulse_mj"] == pytest.approx(0.4, rel=1e-9)
    assert found["ratio_best_size"] == pytest.approx(3463.9 / (71.2 + 0.4), rel=5e-3)
    assert "8.6 nW per synapse" in capsys.readouterr().out


@pytest.fixture(scope="module")
def report(example: ModuleType, game: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a full report."""
    folder = tmp_path_factory.mktemp("report")
    status = example.main(
        [
            *("--load", str(game), "--out", str(folder), "--samples", "20"),
            *("--json", str(folder / "report.json"), "--include-what-paper-leaves-out"),
            *("--synapse", "3,2", "--keep-decay", "0.5", "--seconds-per-decision", "0.5"),
        ]
    )
    assert status == 0
    return folder


def test_every_figure_is_written_and_on_the_page(report: Path) -> None:
    figures = FIGURES | {"ratios_of_systems"}
    assert {p.name for p in report.iterdir()} == {f"{name}.png" for name in figures} | {
        "report.md",
        "report.json",
    }
    page = (report / "report.md").read_text()
    for name in figures:
        assert f"]({name}.png)" in page
        picture = plt.imread(report / f"{name}.png")
        assert min(picture.shape[:2]) > 400
        assert np.ptp(picture) > 0.5


def test_every_ratio_says_what_it_rests_on(report: Path) -> None:
    page = (report / "report.md").read_text()
    cells = re.findall(r"[\d.,]+ \[[\d.,]+, [\d.,]+\][^|\n]*", page.split("## By term")[1])
    # 11 baselines, 3 policies, 3 time bases, synapses and systems
    assert len(cells) == 11 * 3 * 3 * 2
    assert all("(assumed: step, 5 constants)" in c or "8 constants" in c for c in cells)
    rows = json.loads((report / "report.json").read_text())["ratios"]
    assert len(rows) == len(cells)
    for row in rows:
        assert "step" in row["assumed"]
        assert ("decay_half_voltage" in row["assumed"]) == (row["bias"] != "worst case")


def test_every_constant_is_on_the_page_with_its_provenance(report: Path, device: Memristor) -> None:
    page = (report / "report.md").read_text()
    for name, constant in device.constants.items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
        assert f"| {constant.provenance} |" in row
    tables = [b.splitlines() for b in page.split("\n\n") if b.startswith("| ")]
    assert len(tables) == 12
    for lines in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1


def test_numbers_agree_with_the_page_and_the_ledger(report: Path) -> None:
    numbers = json.loads((report / "report.json").read_text())
    assert numbers["attributes"] == {"seed": "5"}
    assert numbers["synapses"] == 144
    assert numbers["decisions"] == 90
    energy = numbers["energy_j"]
    assert energy.keys() == {
        *("worst case", "trained", "cheapest", "cheapest for Lambda 0.5"),
    }
    page = (report / "report.md").read_text()
    for spent in energy.values():
        assert f"| {1e3 * (spent['pulse'] + spent['bias']):.4g} mJ |" in page
    assert energy["cheapest"]["bias"] <= energy["trained"]["bias"] < energy["worst case"]["bias"]


@pytest.mark.parametrize(
    ("name", "value", "term"),
    [("pulse_energy", 29.2, "pulse"), ("bias_power", 8.6, "bias")],
)
def test_one_constant_of_the_device_file_moves_its_term(
    name: str,
    value: float,
    term: str,
    example: ModuleType,
    game: Path,
    report: Path,
    tmp_path: Path,
) -> None:
    device = scripts.device_file(tmp_path, **{name: value})
    out = tmp_path / "out"
    arguments = ["--load", str(game), "--device", str(device), "--out", str(out), "--samples", "1"]
    assert example.main([*arguments, "--json", str(tmp_path / "n.json")]) == 0
    before = json.loads((report / "report.json").read_text())["energy_j"]["worst case"]
    after = json.loads((tmp_path / "n.json").read_text())["energy_j"]["worst case"]
    # the offset's share of the bias doubles, that of kappa S does not; kappa S is 0 on average
    factor = pytest.approx(2, rel=0.1) if name == "bias_power" else pytest.approx(2, rel=1e-12)
    assert after[term] / before[term] == factor
    if name != "bias_power":  # it moves the reads too
        others = set(before) - {term}
        assert {k: after[k] for k in others} == {k: before[k] for k in others}
    assert str(value).rstrip("0").rstrip(".") in (out / "report.md").read_text()
    assert {p.stem for p in out.glob("*.png")} == FIGURES


def test_a_game_is_played_and_kept(
    example: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = subprocess.run(
        [
            *(sys.executable, EXAMPLE, "--out", tmp_path / "out", "--samples", "1"),
            *("--seed", "1003", "--json", tmp_path / "n.json"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    numbers = json.loads((tmp_path / "n.json").read_text())
    assert numbers["attributes"] == {
        "seed": "1003",
        "checkpoint": "pong.safetensors",
        "bias_lines": "block",
    }
    assert numbers["synapses"] == 169_984
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        *(f"{name}.png" for name in FIGURES),
        *("report.md", "game.nc"),
    }


def device_without_a_field(folder: Path) -> list[str]:
    path = folder / "device.toml"
    path.write_text(DEFAULT_DEVICE.read_text().replace("[read_voltage]", "[voltage]"))
    return ["--paper-check", "--device", str(path)]


def no_ledger(folder: Path) -> list[str]:
    path = folder / "text.nc"
    path.write_text("no ledger")
    return ["--load", str(path)]


def no_measurement(folder: Path) -> list[str]:
    path = folder / "gpu.json"
    path.write_text("{}")
    return ["--measured-gpu", str(path)]


def unfinished(folder: Path) -> list[str]:
    (folder / "game.nc.parts").mkdir()
    return ["--out", str(folder)]


BAD_INPUT: dict[str, tuple[Callable[[Path], list[str]], str]] = {
    "samples": (lambda _: ["--samples", "0"], "--samples: must be an integer >= 1, got '0'"),
    "seed": (lambda _: ["--seed", "x"], "--seed: must be an integer >= 0, got 'x'"),
    "time base": (
        lambda _: ["--seconds-per-decision", "-1"],
        "--seconds-per-decision: must be a positive number, got '-1'",
    ),
    "synapse": (lambda _: ["--synapse", "3"], "must be PRE,POST, two unit numbers, got '3'"),
    "unknown option": (lambda _: ["--fast"], "--fast"),
    "missing ledger": (lambda f: ["--load", str(f / "none.nc")], "none.nc: no such file"),
    "an unfinished game": (unfinished, "game.nc.parts holds an unfinished game"),
    "no ledger": (no_ledger, "text.nc"),
    "missing device": (lambda f: ["--device", str(f / "none.toml")], "none.toml"),
    "device field": (device_without_a_field, "unknown field 'voltage'"),
    "measurement": (no_measurement, "gpu.json: no file of mstpn gpu-energy"),
    "missing checkpoint": (
        lambda f: ["--checkpoint", str(f / "none.safetensors")],
        "none.safetensors: no such file",
    ),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_ends_with_one_line_and_status_2(
    case: str, example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, message = BAD_INPUT[case]
    arguments = ["--out", str(tmp_path / "out"), *make(tmp_path)]
    assert message in scripts.refusal(example, arguments, capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--synapse", "24,0"], "synapse must lie in [0, 24) x [0, 6), got (24, 0)"),
        (["--keep-decay", "0.99"], "decay must lie in [0, 0.92], got 0.99"),
    ],
)
def test_what_the_game_cannot_give_is_refused(
    arguments: list[str],
    message: str,
    example: ModuleType,
    game: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    arguments = ["--load", str(game), "--out", str(out), *arguments]
    assert message in scripts.refusal(example, arguments, capsys)
    assert not out.exists()
