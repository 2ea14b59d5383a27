"""Games on a design of devices: played, kept in a table, and what a score needs of them."""

import argparse
import math
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from brian2.units import second, volt

from mstpn.analysis.pictures.requirements import (
    AS_IT_IS,
    WITHOUT,
    Level,
    Need,
    Panel,
    RequireGame,
    draw_requirements,
    endurance,
    levels,
    need,
)
from mstpn.bridge.ablation import ablated
from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.conversion import nearest_decay
from mstpn.bridge.grid import digest_of, play_missing
from mstpn.bridge.play import Game
from mstpn.bridge.pong import Pong
from mstpn.bridge.saved import fingerprints
from mstpn.commands.require import VARIED
from mstpn.network.endurance import PulseCount
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.checkpoint import load_checkpoint
from mstpn.synapses import law
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import Nonidealities
from mstpn.synapses.support.brian_target import use_target
from mstpn.synapses.support.files import atomic_write, replacing, write_json
from mstpn.synapses.support.tidy import csv_text

SPREAD_OF_TAU = 0.01
"""By which the two ends of the bias differ from the one time constant: a range needs two."""


class Cell(NamedTuple):
    """One game to play."""

    constant: str
    value: float
    seed: int

    def device(self, device: Memristor) -> Memristor:
        """The device that plays it."""
        if self.constant == "tau":
            return of_one_tau(device, self.value)
        if self.constant == "resolution":
            amplitude = self.value ** (1 / device.pulse_conductance_exponent)
            return device.varied(pulse_voltage_min=amplitude * device.pulse_voltage)
        return device

    def spread(self) -> Nonidealities:
        """How its devices differ."""
        settings = [f"seed={self.seed}"]
        if self.constant in ("delta_f_std", "delta_f_dtod", "half_voltage_dtod"):
            settings.append(f"{self.constant}={self.value}")
        return Nonidealities.parse(settings)


def of_one_tau(device: Memristor, tau: float) -> Memristor:
    """The device with one time constant, in second, at any bias, but for `SPREAD_OF_TAU`."""
    low, high = (math.exp(-1 / (1 + sign * SPREAD_OF_TAU)) for sign in (-1, 1))
    first, last = float(device.bias_voltage_min / volt), float(device.bias_voltage_max / volt)
    reduced = law.function(law.BIAS_VOLTAGE, "Lambda, V_half, V_slope")
    slope = (last - first) / float(reduced(high, 0, 1) - reduced(low, 0, 1))
    return device.varied(
        decay_duration=tau * second,
        decay_min=low,
        decay_max=high,
        decay_half_voltage=(first - slope * float(reduced(low, 0, 1))) * volt,
        decay_slope_voltage=slope * volt,
    )


def starts(device: Memristor) -> dict[str, float | None]:
    """Where the device of the file is on each axis; it has no one time constant."""
    limits = device.write_limits()
    return dict.fromkeys(VARIED, 0.0) | {
        "tau": None,
        "resolution": limits.delta_f_min / limits.delta_f_max,
    }


def design(options: argparse.Namespace) -> dict[str, tuple[float, ...]]:
    """Values of each constant."""
    return dict(options.values or ((name, varied.values) for name, varied in VARIED.items()))


def grid(options: argparse.Namespace) -> list[Cell]:
    """All games, one of each value before the second of any: what is there is always balanced."""
    pairs = [(AS_IT_IS, 0.0), (WITHOUT, 0.0)]
    pairs += [(name, value) for name, found in design(options).items() for value in found]
    return [Cell(*pair, options.seed + k) for k in range(options.games) for pair in pairs]


def digest(options: argparse.Namespace) -> str:
    """What tells apart tables of other agents, device files or games."""
    numbers = fingerprints(load_checkpoint(options.checkpoint), Memristor.from_file(options.device))
    return digest_of(repr((numbers, options.sticky, options.flicker)).encode())


def play(cell: Cell, options: argparse.Namespace) -> RequireGame:
    """Play one game."""
    use_target(options.target)
    device = cell.device(Memristor.from_file(options.device))
    checkpoint = nearest_decay(load_checkpoint(options.checkpoint), device)
    if cell.constant == WITHOUT:
        checkpoint = ablated(WITHOUT, checkpoint, device, cell.seed)
    agent = BrianAgent(checkpoint, device, STEP_DURATION, cell.spread())
    pong = Pong(sticky=options.sticky, flicker=options.flicker)
    game, count = Game(pong, agent, cell.seed), PulseCount(agent.network)
    for frame in game.frames():
        count.observe(frame.z, frame.h)
    record = game.record()
    pong.close()
    return RequireGame(
        *cell,
        score=record.score,
        decisions=record.decisions,
        pulses_max=int(count.pulses.max()),
        inputs=digest(options),
    )


def all_games(options: argparse.Namespace) -> list[RequireGame]:
    """Those of the grid, of which the table may hold some."""
    inputs = digest(options)
    return play_missing(
        grid(options),
        partial(play, options=options),
        options.out / "games.csv",
        RequireGame,
        cell_of=lambda g: Cell(g.constant, g.value, g.seed),
        inputs=lambda _cell: inputs,
        describe=lambda g: f"{g.constant}={g.value:g}: {g.score:+.0f}",
        processes=options.processes,
        address=options.address,
    )


class Findings(NamedTuple):
    """What the games say."""

    panels: list[Panel]
    as_it_is: Level
    without: Level
    pulses: Any

    @classmethod
    def of(
        cls, games: Sequence[RequireGame], names: Sequence[str], device: Memristor, score: float
    ) -> "Findings":
        """Of every constant that was varied."""
        as_it_is, without = (
            Level.of(0.0, [g.score for g in games if g.constant == name])
            for name in (AS_IT_IS, WITHOUT)
        )
        panels = []
        for name, start in starts(device).items():
            if name not in names:
                continue
            tried = levels(games, name, start)
            found = need(name, tried, score, start=start, without=without)
            unit = f" ({VARIED[name].unit})" if VARIED[name].unit else ""
            panels.append(Panel(f"{VARIED[name].label}{unit}", tried, found))
        return cls(panels, as_it_is, without, endurance(games, score))


def said(found: Need, tried: Sequence[Level]) -> str:
    """One need for a person."""
    if found.least is None or found.most is None:
        others = ", ".join(f"{value:g}" for value in found.gaps)
        return f"not met by the device as it is; by {others}" if others else "met by no value tried"
    if len(tried) < 2 or not (found.lower or found.upper):
        return f"no limit seen from {found.least:g} to {found.most:g}"
    parts = []
    if found.lower:
        parts.append(f"at least between {found.lower[0]:g} and {found.lower[1]:g}")
    if found.upper:
        parts.append(f"at most between {found.upper[0]:g} and {found.upper[1]:g}")
    if found.gaps:
        parts.append("reached at " + ", ".join(f"{v:g}" for v in found.gaps) + ", too")
    return ", ".join(parts)


def confidence(found: Need) -> str:
    """How much a need is worth."""
    if found.void:
        return "void: reached without F"
    return "clear" if found.sure else "a mean beside an end is within its error"


def table(findings: Findings, score: float) -> str:
    """The needs for a person."""
    whole, bare = findings.as_it_is, findings.without
    lines = [
        f"mean score {whole.mean:+.2f} ± {whole.error:.2f} as it is, {bare.mean:+.2f} ± "
        f"{bare.error:.2f} without F (Gamma = 0), {whole.games} games each",
        f"a score of {score:+g} needs",
    ]
    for label, tried, found in findings.panels:
        lines.append(f"  {label + ':':<42}{said(found, tried)}; {confidence(found)}")
    pulses = findings.pulses
    lines.append(
        f"  {'endurance:':<42}"
        + (
            "no game reached the score"
            if pulses is None
            else f"{pulses['mean']:,.0f} pulses a game on the device that is written most, "
            f"{pulses['most']:,} at most ({pulses['games']} games); 1,000 games: "
            f"{1000 * pulses['mean']:.1e}"
        )
    )
    return "\n".join(lines)


def rows(findings: Findings, score: float) -> list[dict[str, Any]]:
    """Every value with its mean, for a table."""
    return [
        {
            "constant": found.constant,
            "value": level.value,
            "games": level.games,
            "mean_score": level.mean,
            "standard_error": level.error,
            "reaches": level.mean >= score,
        }
        for _, tried, found in findings.panels
        for level in tried
    ]


def write(findings: Findings, games: Sequence[RequireGame], options: argparse.Namespace) -> Path:
    """Table of means, figure, numbers."""
    means = rows(findings, options.score)
    atomic_write(options.out / "needs.csv", csv_text(means).encode())
    title = (
        f"{options.checkpoint.name}, {options.games} games a value, sticky {options.sticky:g}, "
        f"flicker {options.flicker:g}; values: assumed"
    )
    path: Path = options.out / "require.png"
    with replacing(path) as partial_file:
        figure = draw_requirements(findings.panels, options.score, findings.without, title)
        figure.savefig(partial_file, dpi=110, format="png")
    if options.json is not None:
        content = {
            "score": options.score,
            "as_it_is": asdict(findings.as_it_is),
            "without": asdict(findings.without),
            "needs": [asdict(panel.need) for panel in findings.panels],
            "endurance": findings.pulses,
            "values": means,
            "games": [asdict(g) for g in games],
        }
        write_json(options.json, content)
    return path


def run(options: argparse.Namespace) -> None:
    """Play, write, draw, print."""
    use_target(options.target)
    device = Memristor.from_file(options.device)
    load_checkpoint(options.checkpoint)
    for cell in grid(options):
        cell.device(device)  # refused now rather than after the games before it
        cell.spread()
    options.out.mkdir(parents=True, exist_ok=True)
    games = all_games(options)
    findings = Findings.of(games, list(design(options)), device, options.score)
    path = write(findings, games, options)
    print(table(findings, options.score))
    print(f"\n{len(games)} games in {options.out / 'games.csv'}, drawn in {path}")
