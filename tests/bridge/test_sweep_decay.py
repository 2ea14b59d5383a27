"""A sweep of tiny trainings, on processes and on a local Ray cluster; the figure's curves."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.stats
import scripts

from mstpn.analysis.pictures.learning_curves import (
    CurvePoint,
    draw_learning_curves,
    thinned,
)
from mstpn.bridge.training.options import parse_options
from mstpn.network.twin.checkpoint import load_checkpoint
from mstpn.synapses.support.tidy import csv_text, read_rows

SCRIPT = scripts.FOLDER / "sweep_decay.py"


def sweep(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    grid = ("--ranges", "0:0", "0.08:0.92", "--seeds", "1", "--out", str(folder))
    tiny = ("--n-envs", "2", "--n-minibatches", "2", "--rollout-length", "8", "--n-hidden", "4")
    command = [sys.executable, str(SCRIPT), *grid, *tiny, *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def statuses(folder: Path) -> list[tuple[str, str]]:
    with (folder / "cells.csv").open(newline="") as file:
        return [(row["status"], row["steps"]) for row in csv.DictReader(file)]


def test_a_failed_agent_does_not_stop_the_rest_and_is_made_up_for(tmp_path: Path) -> None:
    broken = tmp_path / "decay_0_0/seed_0/state.safetensors"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"no training")
    first = sweep(tmp_path, "--total-steps", "32", "--address", "local")
    assert first.returncode == 1, first.stderr
    assert statuses(tmp_path) == [("failed", "0"), ("finished", "32")]
    assert "1 finished, 0 stopped, 1 failed, 0 missing" in first.stdout
    assert "state.safetensors" in first.stdout
    finished = tmp_path / "decay_0.08_0.92/seed_0/state.safetensors"
    written = finished.stat().st_mtime_ns

    broken.unlink()
    # 32 steps end no game: give the finished agent a curve to draw
    records = [{"step": 16, "mean_return": -20.5}, {"step": 32, "mean_return": -19.0}]
    finished.with_name("log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    second = sweep(tmp_path, "--total-steps", "32", "--json", str(tmp_path / "cells.json"))
    assert second.returncode == 0, second.stderr
    assert statuses(tmp_path) == [("finished", "32"), ("finished", "32")]
    assert finished.stat().st_mtime_ns == written
    assert [c["decay_max"] for c in json.loads((tmp_path / "cells.json").read_text())] == [0, 0.92]
    without_memory = load_checkpoint(broken.with_name("last.safetensors"))
    assert not without_memory.tensors["layer.decay"].any()
    assert read_rows(tmp_path / "curves.csv", CurvePoint) == [
        CurvePoint(1, 0.08, 0.92, 0, 16, -20.5),
        CurvePoint(1, 0.08, 0.92, 0, 32, -19.0),
    ]
    assert plt.imread(tmp_path / "figure_4b.png").shape == (600, 900, 4)


def test_a_report_of_what_is_there_trains_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "decay_0_0/seed_7"
    folder.mkdir(parents=True)
    records = [{"step": 16, "mean_return": -20.5}, {"step": 24, "evaluation": -21.0}]
    unfinished_line = '{"step": 32, "mean'
    lines = [json.dumps(r) + "\n" for r in records]
    (folder / "log.jsonl").write_text("".join(lines) + unfinished_line)
    done = sweep(tmp_path, "--total-steps", "32", "--first-seed", "7", "--report-only")
    assert done.returncode == 0, done.stderr
    assert statuses(tmp_path) == [("stopped", "24"), ("missing", "0")]
    with (tmp_path / "cells.csv").open(newline="") as file:
        assert [row["greedy_return"] for row in csv.DictReader(file)] == ["-21.0", ""]
    assert read_rows(tmp_path / "curves.csv", CurvePoint) == [CurvePoint(1, 0, 0, 7, 16, -20.5)]
    assert [p.name for p in folder.iterdir()] == ["log.jsonl"]


def test_a_range_may_be_none(tmp_path: Path) -> None:
    program, work = scripts.load("sweep_decay"), scripts.load("work.sweep_decay")
    words = ["--ranges", "none", "0:0", "--seeds", "1", "--out", str(tmp_path), "--watch"]
    made = program.agents(*program.parse_arguments(words))
    assert [(o.no_memory, o.decay_max > 0) for o in made] == [(True, True), (False, False)]
    cells = [work.Cell(o) for o in made]
    for cell in cells:
        cell.folder.mkdir(parents=True)
        records = [{"step": s, "seconds": s, "mean_return": -21.0} for s in (8, 16)]
        (cell.folder / "log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    assert {p.name for p in tmp_path.iterdir()} == {"no_memory", "decay_0_0"}
    assert "".join(cell.line().split("seed")[0] for cell in cells).split() == [
        "none",
        "0",
        "to",
        "0",
    ]
    assert [row["short_term"] for row in work.write_files(cells, tmp_path)] == [0, 1]
    _, ax = plt.subplots()
    draw_learning_curves(ax, read_rows(tmp_path / "curves.csv", CurvePoint))
    labels = [line.get_label() for line in ax.lines][:2]
    plt.close("all")
    assert labels == ["\u0393 = 0, 1 agent", "\u039b = 0, 1 agent"]


def test_watching_shows_every_agent_and_draws_what_is_new(tmp_path: Path) -> None:
    for seed, last in ((7, 16), (8, 32), (9, 16)):
        folder = tmp_path / f"decay_0_0/seed_{seed}"
        folder.mkdir(parents=True)
        records = [
            {"step": 8, "seconds": 1.0, "mean_return": -21.0},
            {"step": last, "seconds": 1.5, "mean_return": -20.5},
            {"step": last, "evaluation": -19.0},
        ]
        (folder / "log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    os.utime(tmp_path / "decay_0_0/seed_9/log.jsonl", (0, 0))
    words = ("--total-steps", "32", "--first-seed", "7", "--seeds", "3", "--watch")
    done = sweep(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    lines = [line.split("seed") for line in done.stdout.splitlines() if "seed" in line]
    # 8 steps in half a second, 16 left
    assert lines[0][1].split("-20.5")[1] == "  training, 16 steps/s, 0 min left"
    assert [line[1].split()[-1] for line in lines[1:]] == ["finished", "stopped", *["missing"] * 3]
    assert lines[1][1].split()[1] == "#" * 20
    assert (tmp_path / "figure_4b.png").exists()
    assert "not allowed with" in sweep(tmp_path, *words, "--report-only").stderr


def test_while_agents_train_the_figure_is_drawn_when_one_has_advanced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = scripts.load("work.sweep_decay")
    drawn: list[int] = []
    now = [0.0]
    monkeypatch.setattr(work, "write_files", lambda cells, folder: drawn.append(int(now[0])))
    monkeypatch.setattr(work.time, "monotonic", lambda: now[0])
    options, _ = parse_options(["--out", str(tmp_path), "--total-steps", "100"])
    redrawing = work.Redrawing([work.Cell(options)], tmp_path)
    for second, steps in ((0, 0), (5, 8), (70, 8), (75, 8), (80, 16), (135, 500)):
        now[0] = second
        (tmp_path / "log.jsonl").write_text(json.dumps({"step": steps}) + "\n")
        assert redrawing.look() == min(steps, 100)
    assert drawn == [0, 70, 135]


def test_the_band_is_the_bootstrapped_interval_of_the_mean() -> None:
    returns = np.random.default_rng(5).normal(size=12)
    _, ax = plt.subplots()
    made = [CurvePoint(1, 0, 0, seed, step, r) for seed, r in enumerate(returns) for step in (0, 9)]
    draw_learning_curves(ax, made)
    band = np.asarray(ax.collections[0].get_paths()[0].vertices)[:, 1]
    plt.close("all")
    wanted = scipy.stats.bootstrap(
        (returns,), np.mean, n_resamples=20_000, method="percentile", rng=1
    ).confidence_interval
    # a 2.5 % quantile of 2,000 means is known to 0.08 of their standard deviation; five times that
    close = 0.4 * returns.std() / np.sqrt(12)
    assert abs(band.min() - wanted.low) < close
    assert abs(band.max() - wanted.high) < close


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ranges", "0.5"], "must be LOW:HIGH or none, got '0.5'"),
        (["--seeds", "0"], "argument --seeds: must be an integer >= 1, got '0'"),
        (["--total-steps", "0"], "total-steps must be at least 1, got 0"),
        (["--no-such-option", "1"], "--no-such-option"),
    ],
)
def test_bad_options_end_with_status_2(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = sweep(tmp_path / "out", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def points(seed: int, slope: float) -> list[CurvePoint]:
    return [CurvePoint(1, 0.0, 0.5, seed, step, slope * step) for step in range(0, 1100, 100)]


def test_the_table_is_read_back_and_bad_lines_are_named(tmp_path: Path) -> None:
    path = tmp_path / "curves.csv"
    rows = [vars(p) for p in points(0, 0.125)]
    path.write_text(csv_text(rows))
    assert read_rows(path, CurvePoint) == points(0, 0.125)
    path.write_text(path.read_text().replace("300,", "many,"))
    with pytest.raises(ValueError, match=r"curves\.csv, line 5: .*'many'"):
        read_rows(path, CurvePoint)


def test_thinned_keeps_the_ends() -> None:
    kept = thinned(points(0, 1.0), 4)
    assert [p.step for p in kept] == [0, 300, 700, 1000]
    assert thinned(kept, 9) == kept


def test_the_line_is_the_mean_and_the_band_of_two_agents_their_range() -> None:
    _, ax = plt.subplots()
    draw_learning_curves(ax, [*points(0, 0.01), *points(1, 0.02)])
    line = ax.lines[0]
    x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    np.testing.assert_allclose(y, 0.015 * x * 1e6, atol=1e-9)
    band = np.asarray(ax.collections[0].get_paths()[0].vertices)
    assert band[:, 1].max() == pytest.approx(20)
    assert line.get_label() == "\u039b \u2208 [0, 0.5], 2 agents"
    plt.close("all")


def test_two_ranges_of_one_folder_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--ranges", "0.08:0.9", "0.08:0.9000000001", "--out", str(tmp_path)]
    line = scripts.refusal(scripts.load("sweep_decay"), arguments, capsys)
    assert "two agents would be trained in one folder" in line
    assert not list(tmp_path.iterdir())
