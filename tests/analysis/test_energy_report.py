"""The report as its users run it: the paper's numbers, a page with its figures, one-line errors."""

import json
import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO, StringIO
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import scripts
from brian2.units import joule, pjoule, second
from browser import BROWSER, DRIVER, Browser

from mstpn.analysis.energy.ledger import ledger, save
from mstpn.analysis.energy.neuromorphic import processors
from mstpn.analysis.energy.policies import trained
from mstpn.analysis.energy.recording import Recording
from mstpn.analysis.gpu import MEASURED
from mstpn.analysis.gpu.baselines import MAIN, baselines, paper_game
from mstpn.analysis.report import tables
from mstpn.analysis.report.markup import MARKS
from mstpn.analysis.report.page import make_report
from mstpn.analysis.report.wording import energy, number
from mstpn.bridge.play import GameRecord
from mstpn.commands.work import scores
from mstpn.synapses.memristor import DEFAULT_DEVICE, Memristor

EXAMPLE = scripts.FOLDER / "energy_report.py"
README = scripts.FOLDER.parent / "README.md"
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
    assert [r["steps"] for r in found["readings"]] == [2922, 1461, 730]
    for said in ("36.0 mJ", "4.3 nW a synapse", "(digest)", "derived", "assumed"):
        assert said in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 110
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
    assert "8.6 nW a synapse" in capsys.readouterr().out


@pytest.fixture(scope="module")
def made(
    example: ModuleType, game: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """Folder of a full report, and what was printed."""
    folder = tmp_path_factory.mktemp("report")
    with redirect_stdout(StringIO()) as printed:
        status = example.main(
            [
                *("--load", str(game), "--out", str(folder), "--samples", "20"),
                *("--json", str(folder / "report.json"), "--include-what-paper-leaves-out"),
                *("--synapse", "3,2", "--keep-decay", "0.5", "--seconds-per-decision", "0.5"),
                *("--measured-gpu", "h100"),
            ]
        )
    assert status == 0
    return folder, printed.getvalue()


@pytest.fixture(scope="module")
def report(made: tuple[Path, str]) -> Path:
    return made[0]


@pytest.fixture(scope="module")
def page(report: Path) -> str:
    return (report / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def found(report: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((report / "report.json").read_text())
    return content


class Reader(HTMLParser):
    """Tags that are open at the end, what they would load, and the rows of the tables."""

    VOID = ("meta", "link", "img")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open or "th" in self.open:
            self.tables[-1][-1][-1] += data


def test_every_figure_is_written_and_on_the_page(report: Path, page: str) -> None:
    figures = FIGURES | {"ratios_of_systems"}
    assert {p.name for p in report.iterdir()} == {f"{name}.png" for name in figures} | {
        "report.html",
        "report.json",
    }
    for name in figures:
        content = (report / f"{name}.png").read_bytes()
        assert b64encode(content).decode() in page
        picture = plt.imread(report / f"{name}.png")
        assert min(picture.shape[:2]) > 400
        assert np.ptp(picture) > 0.5


def test_the_page_is_whole_and_needs_nothing_else(page: str) -> None:
    read = Reader(page)
    assert read.open == []
    assert all(load.startswith("data:") for load in read.loads)
    assert "<script" not in page
    assert "url(" not in page
    assert "@import" not in page
    for rows in read.tables:
        assert len({len(row) for row in rows}) == 1
    titles = re.findall("<summary>(.*?)</summary>", page)
    assert len(titles) == len(set(titles)) == 9
    assert page.count('class="legend"') == 1
    signs = re.findall('<abbr class="([a-z-]+)"', page.split('class="legend"')[1].split("</p>")[0])
    assert set(re.findall('<abbr class="([a-z-]+)"', page)) <= set(signs)


def test_the_first_screen_answers_with_the_main_ratio(page: str, found: dict[str, Any]) -> None:
    heading = page.split("<h1>")[1].split("</h1>")[0]
    said = [text.replace("\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN}", "") for text in bold(heading)]
    rows = [r for r in found["ratios"] if r["level"] == "synapse" and r["bias"] == "worst case"]
    (main,) = [
        r["ratio"]
        for r in rows
        if r["baseline"] == MAIN and r["step_s"] == pytest.approx(found["step_s"])
    ]
    assert found["main_ratio"] == pytest.approx(main, rel=1e-12)
    stream, cached = (
        [r["ratio"] for r in rows if r["baseline"] == name]
        for name in ("stream_hbm2_fp16", "resident_l2_fp16")
    )
    assert len(stream) == 4
    spans = [f"{number(min(x))} to {number(max(x))}" for x in (stream, cached)]
    assert said == [number(main), *spans]
    before_folds = page.split("<details>")[0]
    for step in ("1/60 s", "1/30 s", "1/15 s", "1/2 s"):
        assert step in before_folds
    for processor in processors():
        value = f"{float(processor.operation.value / pjoule):g} pJ"
        assert f">{processor.label}<" in before_folds
        assert f">{value}<" in before_folds


def bold(text: str) -> list[str]:
    return re.findall("<b>(.*?)</b>", text)


def test_every_ratio_lies_within_its_interval_and_is_on_the_page(
    page: str, found: dict[str, Any]
) -> None:
    rows = found["ratios"]
    registry = baselines(MEASURED["h100"])
    # 3 policies, 4 time bases, synapses and systems
    assert len(rows) == len(registry) * 3 * 4 * 2
    cells = {cell for rows in Reader(page).tables for row in rows for cell in row}
    for row in rows:
        assert row["low"] <= row["ratio"] <= row["high"]
        assert "step" in row["assumed"]
        assert ("decay_half_voltage" in row["assumed"]) == (row["bias"] != "worst case")
        if row["bias"] != "cheapest":
            said = "".join(
                (number(row["ratio"]), number(row["low"]), "\N{EN DASH}", number(row["high"]))
            )
            assert said in cells


def test_every_constant_is_on_the_page_with_its_mark(page: str, device: Memristor) -> None:
    rows = [row for rows in Reader(page).tables for row in rows]
    sourced = [(name, c.source, c.provenance) for name, c in device.constants.items()]
    sourced += [(b.label, b.source, b.provenance) for b in baselines().values()]
    sourced += [
        (p.label, f"{p.counts}. {p.operation.source}", p.operation.provenance) for p in processors()
    ]
    for label, source, mark in sourced:
        shown = [row for row in rows if row[0].startswith(label) and source in row[0]]
        assert len(shown) == 1, label
        assert shown[0][-1].endswith(MARKS[mark][0])
    for step in paper_game().steps:
        assert any(step.source in row[0] for row in rows)


def test_numbers_agree_with_the_page_and_the_ledger(page: str, found: dict[str, Any]) -> None:
    assert found["attributes"] == {"seed": "5"}
    assert found["synapses"] == 144
    assert found["decisions"] == 90
    spent = found["energy_j"]
    assert spent.keys() == {
        *("worst case", "trained", "cheapest", "cheapest for Lambda 0.5"),
    }
    cells = {cell for rows in Reader(page).tables for row in rows for cell in row}
    for by_term in spent.values():
        assert energy(by_term["pulse"] + by_term["bias"]) in cells
    assert spent["cheapest"]["bias"] <= spent["trained"]["bias"] < spent["worst case"]["bias"]
    for policy, by_step in found["synapse_step_j"].items():
        each = (spent[policy]["pulse"] + spent[policy]["bias"]) / (144 * 90)
        assert by_step[f"{1 / 15:.9g}"] == pytest.approx(each, rel=1e-9)


def test_what_is_printed_is_short_and_ascii(made: tuple[Path, str], found: dict[str, Any]) -> None:
    printed = made[1]
    assert printed.isascii()
    lines = printed.splitlines()
    assert len(lines) <= 11
    assert max(map(len, lines[:-1])) <= 125
    assert number(found["main_ratio"]) in lines[0]


def test_a_game_prints_the_ratio_of_its_report(found: dict[str, Any], device: Memristor) -> None:
    spent = found["energy_j"]
    record = GameRecord(
        *(5, 0.0, 90, 360, 6 * second, 1 * second, 1 * second),
        energy={term: value * joule for term, value in spent["trained"].items()},
        worst_case_bias=spent["worst case"]["bias"] * joule,
        saturation={},
        step_time={},
        twin_action_agreement=None,
        twin_max_abs_difference=None,
    )
    held, ratio = scores.gpu_lines([record], 144, device)
    assert "0.6 V charged on every synapse" in held
    assert f" {found['main_ratio']:.3g} x as much on the same 12,960 synapse updates" in ratio


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:Data has no positive values:UserWarning")
@pytest.mark.parametrize("stated", [True, False])
def test_a_game_that_spends_nothing_has_a_page(stated: bool, device: Memristor) -> None:
    """Smallest Lambda at 0 V and no pulse: 0 J at the agent's voltages, and no end to the ratio."""
    shape = (8, 3)
    quiet = Recording(
        weight=np.zeros(shape),
        decay=np.full(shape, device.decay_min),
        gamma=np.zeros(shape),
        step_duration=1 / 15 * second,
        h=np.zeros((4, 3)),
        event_count=np.ones(4, dtype=int),
        event_unit=np.arange(4),
        event_z=np.ones(4),
    )
    known = device if stated else replace(device, constants=MappingProxyType({}))
    registry = baselines()
    made = make_report(quiet, known, registry, n_samples=2, seed=0)
    drawn = made.figures()
    assert set(drawn) == FIGURES
    drawn["4i_per_synapse"].savefig(BytesIO())
    page = made.html(tables.paper_check(made.game, known, registry), {})
    read = Reader(page)
    assert read.open == []
    assert not re.search(r"\bnan\b", page)
    assert any("0 J" in cell for rows in read.tables for row in rows for cell in row)
    for step in made.steps:
        for row in made.ratios(step).values():
            assert row.low <= row.value <= row.high


@pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs chromium and its driver")
def test_the_page_fits_a_narrow_screen(report: Path) -> None:
    with Browser() as browser:
        browser.open((report / "report.html").as_uri(), 390, 844)
        browser.run("document.querySelectorAll('details').forEach(d => d.open = true)")
        wide = "return document.documentElement.scrollWidth <= window.innerWidth"
        assert browser.run(wide)
        tables = "return [...document.querySelectorAll('.wide')]"
        assert browser.run(f"{tables}.every(e => e.scrollWidth <= e.clientWidth)")
        bottom = "return document.querySelector('.bars').getBoundingClientRect().bottom"
        assert browser.run(bottom) < 1000
        assert browser.log() == []


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
    page = (out / "report.html").read_text(encoding="utf-8")
    label = name + Memristor.from_file().constants[name].source
    (row,) = [r for rows in Reader(page).tables for r in rows if r[0].startswith(label)]
    assert row[1].split()[0] == f"{value:.3g}"
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
    assert f"**{numbers['main_ratio']:.3g} \N{MULTIPLICATION SIGN}**" in README.read_text("utf-8")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        *(f"{name}.png" for name in FIGURES),
        *("report.html", "game.nc"),
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
