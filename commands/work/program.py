"""An agent's W written into arrays of memristors by pulses, and games on them."""

import argparse
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from brian2.units import joule
from tqdm import tqdm

from mstpn.analysis.pictures.programming import DECREED, ProgrammedGame, by_arm, draw_programming
from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.grid import digest_of, play_missing
from mstpn.bridge.play import play_game
from mstpn.bridge.pong import Pong
from mstpn.bridge.programming import ProgrammedArray, Programming, program, save_array
from mstpn.bridge.saved import fingerprints
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.checkpoint import Checkpoint, load_checkpoint
from mstpn.synapses.memristor import DEFAULT_DEVICE, Memristor
from mstpn.synapses.nonidealities import Nonidealities
from mstpn.synapses.programming.array import PulseSpread
from mstpn.synapses.programming.write import Method
from mstpn.synapses.support.brian_target import use_target
from mstpn.synapses.support.files import replacing, write_json


class Cell(NamedTuple):
    """One array to program and play on."""

    method: str
    tolerance: float
    seed: int


def run(options: argparse.Namespace, table_path: Path) -> None:
    """One array into a file, or many with games on them into a table."""
    if options.tolerances is None:
        _one(options)
    else:
        _study(options, table_path)


def _inputs(options: argparse.Namespace, seed: int) -> tuple[Checkpoint, Memristor, Nonidealities]:
    """What is programmed, on what, from an option's seed where none is given for the devices."""
    device = Memristor.from_file(options.device or DEFAULT_DEVICE)
    given = options.nonideal
    seeded = [] if any(text.startswith("seed=") for text in given) else [f"seed={seed}"]
    return load_checkpoint(options.checkpoint), device, Nonidealities.parse([*given, *seeded])


def _how(options: argparse.Namespace, device: Memristor, cell: Cell) -> Programming:
    spread = PulseSpread.from_file(
        rate_dtod=options.rate_dtod, rate_std=options.rate_std, read_std=options.read_std
    )
    tolerance = cell.tolerance or options.tolerance
    return Programming(
        method=Method(cell.method, tolerance, options.patience),
        spread=spread,
        start=device.weight_min if options.start is None else options.start,
        access=options.access,
        seed=cell.seed,
    )


def _one(options: argparse.Namespace) -> None:
    """One array, into a file."""
    out = options.out or Path("array.safetensors")
    checkpoint, device, unlike = _inputs(options, options.seed)
    how = _how(options, device, Cell(options.method, options.tolerance, options.seed))
    with tqdm(desc="sweeps over the array", disable=None) as bar:

        def progress(done: float) -> None:
            bar.set_postfix_str(f"{done:.2%} of the devices done")
            bar.update()

        array = program(checkpoint, device, how, unlike, progress)
    save_array(out, array)
    print(summary(array))
    print(f"\nin {out}; to play on it: mstpn pong --array {out}")
    if options.json is not None:
        write_json(options.json, {"checkpoint": options.checkpoint.name} | array.about)


def summary(array: ProgrammedArray) -> str:
    """What an array took and what it holds, for a person."""
    f, how = array.about["facts"], array.about["programming"]
    method, spread, error = how["method"], how["spread"], f["error_percentiles"]
    verified = method["name"] != "open-loop"
    lines = [
        f"{f['devices']:,} devices programmed by pulses: {method['name']}"
        + (f", tolerance {method['tolerance']:g}" if verified else "")
        + f", from W = {how['start']:.3g}, by {how['access']}",
        f"assumed: rates spread by {spread['rate_dtod']:g} from device to device and "
        f"{spread['rate_std']:g} from pulse to pulse (of ln), reads by {spread['read_std']:g}",
        "",
        f"pulses   {f['pulses']:,}: {f['pulses_median']:g} a device in the median, "
        f"{f['pulses_max']} at most, in {f['rounds']} sweeps",
        f"time     {f['time_s']:.1f} s: waits {f['wait_time_s']:.1f} s, reads "
        f"{f['read_time_s']:.2f} s; pulses {f['pulse_time_rows_s']:.1f} s by rows, "
        f"{f['pulse_time_serial_s']:.0f} s one by one",
    ]
    if f["wait_s"]:
        lines.append(
            f"         the waits of {1e3 * f['wait_s']:.0f} ms are shared by a sweep; if every "
            f"row waited for itself {f['time_if_rows_wait_s'] / 60:.0f} min, every device "
            f"{f['time_if_devices_wait_s'] / 3600:.0f} h"
        )
    lines += [
        f"energy   {1e3 * f['pulse_j']:.3f} mJ on selected devices, "
        f"{1e3 * f['half_selected_j']:.1f} mJ on half-selected ones, "
        f"{1e6 * f['read_j']:.3f} uJ of reads",
        f"disturb  {f['half_selected']:.3g} half pulses moved W by {f['disturbed_rms']:.2g} rms, "
        f"{f['disturbed_max']:.2g} at most",
        f"W        rms error {f['error_rms']:.4f}, mean {f['error_mean']:+.4f}; of the sizes half "
        f"below {error['50']:.4f}, 90 % {error['90']:.4f}, 99 % {error['99']:.4f}, all "
        f"{error['100']:.3f}",
    ]
    if verified:
        lines.append(
            f"         {f['off_target']:,} devices off by more than the tolerance, "
            f"{f['given_up']:,} given up"
        )
    if "error_rms_after_drift" in f:
        lines.append(f"         rms error {f['error_rms_after_drift']:.4f} after the drift")
    return "\n".join(lines)


def digest(options: argparse.Namespace) -> str:
    """What tells apart tables of other agents, devices, ways of programming or games."""
    checkpoint, device, _ = _inputs(options, 0)
    how = _how(options, device, Cell("verify", 0.0, 0))
    content = repr(
        (
            *(fingerprints(checkpoint, device), how.spread, how.start, how.access),
            *(options.patience, options.sticky, options.flicker, sorted(options.nonideal)),
        )
    )
    return digest_of(content.encode())


def play(cell: Cell, options: argparse.Namespace) -> ProgrammedGame:
    """Program an array, and play one game on it."""
    use_target(options.target)
    checkpoint, device, unlike = _inputs(options, cell.seed)
    facts: dict[str, Any] = {}
    if cell.method != DECREED:
        array = program(checkpoint, device, _how(options, device, cell), unlike)
        checkpoint, facts = array.put_on(checkpoint), array.about["facts"]
    pong = Pong(sticky=options.sticky, flicker=options.flicker)
    record = play_game(pong, BrianAgent(checkpoint, device, STEP_DURATION, unlike), cell.seed)
    pong.close()
    return ProgrammedGame(
        *cell,
        score=record.score,
        error_rms=facts.get("error_rms", 0.0),
        given_up=facts.get("given_up", 0),
        pulses=facts.get("pulses", 0),
        pulse_j=facts.get("pulse_j", 0.0),
        half_selected_j=facts.get("half_selected_j", 0.0),
        time_s=facts.get("time_s", 0.0),
        game_j=float(sum(e / joule for e in record.energy.values())),
        inputs=digest(options),
    )


def grid(options: argparse.Namespace) -> list[Cell]:
    """All arrays, one of each before the second of any."""
    pairs = [(DECREED, 0.0)]
    for name in options.methods:
        pairs += [(name, t) for t in (options.tolerances if name != "open-loop" else (0.0,))]
    return [Cell(*pair, options.seed + k) for k in range(options.games) for pair in pairs]


def _study(options: argparse.Namespace, out: Path) -> None:
    """Many arrays and games, into a table and a figure."""
    use_target(options.target)
    inputs = digest(options)
    games = play_missing(
        grid(options),
        partial(play, options=options),
        out,
        ProgrammedGame,
        cell_of=lambda g: Cell(g.method, g.tolerance, g.seed),
        inputs=lambda _cell: inputs,
        describe=lambda g: f"{g.method} {g.tolerance:g}: {g.score:+.0f}",
        processes=options.processes,
        address=options.address,
    )
    figure = options.figure or out.with_suffix(".png")
    title = (
        f"{options.checkpoint.name}, sticky {options.sticky:g}, flicker {options.flicker:g}; "
        "lines: mean of the games; spread of devices assumed"
    )
    with replacing(figure) as partial_file:
        draw_programming(games, title).savefig(partial_file, dpi=110, format="png")
    rows = by_method(games)
    print(table(rows))
    print(f"\n{len(games)} arrays and games in {out}, drawn in {figure}")
    if options.json is not None:
        write_json(options.json, {"arms": rows, "games": [asdict(g) for g in games]})


def by_method(games: list[ProgrammedGame]) -> list[dict[str, Any]]:
    """Means of each method and tolerance."""
    means = ("error_rms", "given_up", "pulses", "pulse_j", "half_selected_j", "time_s", "game_j")
    return [
        {
            "method": method,
            "tolerance": tolerance,
            "games": len(mine),
            "mean_score": float(np.mean([g.score for g in mine])),
            "std_score": float(np.std([g.score for g in mine])),
            "min_score": min(g.score for g in mine),
            **{name: float(np.mean([getattr(g, name) for g in mine])) for name in means},
        }
        for (method, tolerance), mine in by_arm(games).items()
    ]


def table(rows: list[dict[str, Any]]) -> str:
    """The summary for a person."""
    lines = [
        "method     tolerance  games  mean score    std  lowest  rms of W  given up     mJ"
        "  mJ beside  seconds  mJ a game"
    ]
    lines += [
        f"{r['method']:<11}{r['tolerance'] or '-':>9}{r['games']:>7d}{r['mean_score']:>+12.2f}"
        f"{r['std_score']:>7.2f}{r['min_score']:>+8.0f}{r['error_rms']:>10.4f}"
        f"{r['given_up']:>10.0f}{1e3 * r['pulse_j']:>7.3f}{1e3 * r['half_selected_j']:>11.1f}"
        f"{r['time_s']:>9.1f}{1e3 * r['game_j']:>11.3f}"
        for r in rows
    ]
    return "\n".join(lines)
