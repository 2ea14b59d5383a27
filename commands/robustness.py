"""Pong on devices that are not ideal: score and energy against each deviation.

    mstpn robustness --games 4 --out robustness.csv
    mstpn robustness --levels delta_f_std=0.1,1 --levels slow_fraction=0.5
    mstpn robustness --nonideal w_noise=0.01 --nonideal out_res=254 --nonideal weight_dtod=0.01

Needs `pip install 'mstpn[analysis]'`. Every game is played on the Brian2 network, on devices
drawn from the game's seed, with one deviation at a time; or, with --nonideal, with several at once,
and without each of them in turn. Each finished game is a row of
the table at once; the same command again plays only what is missing. None of the levels is
in Weilenmann et al. (2024): all are assumed, chosen from harmless to ruinous.
"""

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from brian2.units import joule, mjoule

from mstpn.analysis.pictures.robustness import (
    ALL,
    BUT,
    IDEAL,
    RobustnessGame,
    by_level,
    draw_left_out,
    draw_robustness,
)
from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.checkpoints import add_checkpoint_option
from mstpn.bridge.grid import play_missing
from mstpn.bridge.play import play_game
from mstpn.bridge.pong import Pong
from mstpn.bridge.runner import add_runner_options
from mstpn.bridge.saved import fingerprints
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.checkpoint import load_checkpoint
from mstpn.synapses.memristor import DEFAULT_DEVICE, Memristor
from mstpn.synapses.nonidealities import Nonidealities
from mstpn.synapses.support.brian_target import use_target
from mstpn.synapses.support.command_line import Parser, exit_status, integer, probability
from mstpn.synapses.support.files import replacing, write_json
from mstpn.synapses.support.numerals import number


@dataclass(frozen=True)
class Deviation:
    """One deviation from the ideal device: label, levels in SI units, what else is set."""

    label: str
    levels: tuple[float, ...]
    beside: tuple[str, ...] = ()


ONE_DAY = ("t_inference=86400",)
DEVIATIONS = {
    "delta_f_std": Deviation("spread of $\\Delta F$,\npulse to pulse", (0.1, 0.3, 1, 3)),
    "delta_f_dtod": Deviation("spread of $\\Delta F$,\ndevice to device", (0.1, 0.3, 1, 3)),
    "weight_dtod": Deviation("spread of W, device\nto device", (0.003, 0.01, 0.03, 0.1)),
    "half_voltage_dtod": Deviation(
        "spread of $V_{half}$,\ndevice to device (V)", (0.01, 0.03, 0.1, 0.3)
    ),
    "corrupt_devices_prob": Deviation("share of stuck\ndevices", (0.0001, 0.001, 0.01, 0.1)),
    "drift_nu": Deviation("exponent of W's drift,\nafter 1 day", (0.003, 0.01, 0.03, 0.1), ONE_DAY),
    "drift_nu_dtod": Deviation(
        "spread of that exponent,\ndevice to device", (0.003, 0.01, 0.03, 0.1), ONE_DAY
    ),
    "slow_fraction": Deviation(
        "share of $\\Delta F$ that decays\n10 times as slowly", (0.03, 0.1, 0.3, 1)
    ),
    "w_noise": Deviation("noise of conductances,\nread to read", (0.003, 0.01, 0.03, 0.1)),
    "inp_res": Deviation("step of inputs over\ntheir range", (0.004, 0.016, 0.07, 0.17)),
    "out_res": Deviation("step of outputs over\ntheir range", (0.001, 0.004, 0.016, 0.07)),
    "ir_drop_rs": Deviation("resistance of lines\nper cell ($\\Omega$)", (0.1, 1, 10, 100)),
    "half_select": Deviation("share of pulses' voltage\nat other rows", (0.1, 0.2, 0.33, 0.5)),
}


class Cell(NamedTuple):
    """One game to play."""

    nonideality: str
    level: float
    seed: int

    def spread(self, at_once: Sequence[str] = ()) -> Nonidealities:
        """The devices; of several deviations at once, one may be left out."""
        settings = [f"seed={self.seed}"]
        if self.nonideality == ALL or self.nonideality.startswith(BUT):
            left_out = self.nonideality.removeprefix(BUT)
            settings += [text for text in at_once if text.partition("=")[0] != left_out]
        elif self.nonideality != IDEAL:
            beside = DEVIATIONS[self.nonideality].beside
            settings += [f"{self.nonideality}={self.level}", *beside]
        return Nonidealities.parse(settings)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(
        prog="mstpn robustness",
        description="Score and energy of Pong against each deviation of the devices.",
    )
    parser.add_argument("--games", type=integer(1), default=3, metavar="N", help="per level")
    parser.add_argument("--seed", type=integer(0), default=1000, help="of the first; one more each")
    parser.add_argument(
        "--levels",
        type=levels,
        action="append",
        metavar="NAME=V,V,...",
        help=f"only these deviations at these levels, SI units; of {', '.join(DEVIATIONS)}",
    )
    parser.add_argument(
        "--nonideal",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="all of these at once, and all but each of them, instead of one at a time",
    )
    parser.add_argument("--sticky", type=probability, default=0.0, metavar="P")
    parser.add_argument("--flicker", type=probability, default=0.0, metavar="P")
    add_checkpoint_option(parser)
    parser.add_argument("--device", type=Path, default=DEFAULT_DEVICE, metavar="FILE")
    parser.add_argument("--target", choices=("auto", "cython", "numpy"), default="auto")
    add_runner_options(parser)
    parser.add_argument("--out", type=Path, default=Path("robustness.csv"), metavar="CSV")
    parser.add_argument("--figure", type=Path, metavar="PNG", help="beside the table if absent")
    parser.add_argument("--json", type=Path, metavar="PATH")
    options = parser.parse_args(arguments)
    if options.levels and options.nonideal:
        parser.error("--levels is for one deviation at a time, --nonideal for all at once")
    return options


def levels(text: str) -> tuple[str, tuple[float, ...]]:
    """Argument type: a deviation and its levels."""
    name, _, values = text.partition("=")
    if name not in DEVIATIONS:
        raise argparse.ArgumentTypeError(f"must name one of {', '.join(DEVIATIONS)}, got {text!r}")
    try:
        found = tuple(number(value) for value in values.split(","))
        for value in found:
            Cell(name, value, 0).spread()  # refuses what is out of range
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not all(found):
        raise argparse.ArgumentTypeError(f"level 0 is always played, got {text!r}")
    return name, found


def grid(options: argparse.Namespace) -> list[Cell]:
    """All games, one of each level before the second of any: what is there is always balanced."""
    if options.nonideal:
        sizes = Nonidealities.parse(options.nonideal).to_json()
        each = [(f"{BUT}{name}", size) for name, size in sizes.items() if name in DEVIATIONS]
        pairs = [(IDEAL, 0.0), (ALL, 0.0), *each]
        return [Cell(*pair, options.seed + k) for k in range(options.games) for pair in pairs]
    wanted = dict(options.levels or ((name, d.levels) for name, d in DEVIATIONS.items()))
    pairs = [(IDEAL, 0.0), *((name, level) for name, found in wanted.items() for level in found)]
    return [Cell(*pair, options.seed + k) for k in range(options.games) for pair in pairs]


def digest(options: argparse.Namespace) -> str:
    """What tells apart tables of other agents or other device files."""
    numbers = fingerprints(load_checkpoint(options.checkpoint), Memristor.from_file(options.device))
    content = repr((numbers, options.sticky, options.flicker))
    content += repr(sorted(options.nonideal)) if options.nonideal else ""
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def play(cell: Cell, options: argparse.Namespace) -> RobustnessGame:
    """Play one game."""
    use_target(options.target)
    device = Memristor.from_file(options.device)
    spread = cell.spread(options.nonideal)
    agent = BrianAgent(load_checkpoint(options.checkpoint), device, STEP_DURATION, spread)
    pong = Pong(sticky=options.sticky, flicker=options.flicker)
    record = play_game(pong, agent, cell.seed)
    pong.close()
    spent = {term: float(energy / joule) for term, energy in record.energy.items()}
    return RobustnessGame(
        *cell,
        score=record.score,
        decisions=record.decisions,
        pulse_j=spent["pulse"],
        bias_j=spent["bias"],
        read_j=spent["read"],
        inputs=digest(options),
        periphery_j=spent.get("periphery", 0.0),
    )


def all_games(options: argparse.Namespace) -> list[RobustnessGame]:
    """Those of the grid, of which the table may hold some."""
    inputs = digest(options)
    return play_missing(
        grid(options),
        partial(play, options=options),
        options.out,
        RobustnessGame,
        cell_of=lambda g: Cell(g.nonideality, g.level, g.seed),
        inputs=lambda _cell: inputs,
        describe=lambda g: f"{g.nonideality}={g.level:g}: {g.score:+.0f}",
        processes=options.processes,
        address=options.address,
    )


def summary(games: list[RobustnessGame]) -> list[dict[str, Any]]:
    """Scores and energies by level."""
    rows = []
    for name in dict.fromkeys(g.nonideality for g in games):
        for level, mine in by_level([g for g in games if g.nonideality == name], name).items():
            scores = [g.score for g in mine]
            energies = [float(g.energy / mjoule) for g in mine]
            steps = sum(g.decisions for g in mine)
            rows.append(
                {
                    "nonideality": name,
                    "level": level,
                    "games": len(mine),
                    "mean_score": float(np.mean(scores)),
                    "min_score": min(scores),
                    "max_score": max(scores),
                    "mean_energy_mj": float(np.mean(energies)),
                    "energy_per_step_uj": 1e3 * sum(energies) / steps,
                }
            )
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """The summary for a person."""
    lines = [
        "nonideality                      level  games   mean score  lowest  highest"
        "  mJ a game  uJ a step"
    ]
    lines += [
        f"{r['nonideality']:<29}{r['level']:>9g}{r['games']:>7d}{r['mean_score']:>+13.2f}"
        f"{r['min_score']:>+8.0f}{r['max_score']:>+9.0f}{r['mean_energy_mj']:>11.2f}"
        f"{r['energy_per_step_uj']:>11.3f}"
        for r in rows
    ]
    return "\n".join(lines)


def write_figure(games: list[RobustnessGame], options: argparse.Namespace) -> Path:
    """Draw what the table has."""
    path = options.figure or options.out.with_suffix(".png")
    counts = {(g.nonideality, g.level): 0 for g in games}
    for g in games:
        counts[g.nonideality, g.level] += 1
    span = "-".join(dict.fromkeys(str(n) for n in (min(counts.values()), max(counts.values()))))
    device = Memristor.from_file(options.device)
    if options.nonideal:
        title = f"{options.checkpoint.name}, {span} games each, bars: mean"
        figure = draw_left_out(games, device, title)
    else:
        labels = {name: d.label for name, d in DEVIATIONS.items()}
        title = f"{options.checkpoint.name}, {span} games a level, lines: mean, bands: range"
        figure = draw_robustness(games, labels, device, title)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=110)
    return path


def main(arguments: list[str] | None = None) -> int:
    """Play, write, draw, print; return the exit status."""
    options = parse_arguments(arguments)

    def work() -> None:
        use_target(options.target)
        load_checkpoint(options.checkpoint)
        Nonidealities.parse(options.nonideal)
        Memristor.from_file(options.device)
        games = all_games(options)
        figure = write_figure(games, options)
        rows = summary(games)
        print(table(rows))
        print(f"\n{len(games)} games in {options.out}, drawn in {figure}")
        if options.json is not None:
            content = {"levels": rows, "games": [asdict(g) for g in games]}
            write_json(options.json, content)

    stopped = f"stopped, finished games are in {options.out}"
    return exit_status("mstpn robustness", work, stopped)
