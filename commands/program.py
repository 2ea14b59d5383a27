"""Write an agent's long-term weights into an array of memristors by pulses.

    mstpn program --tolerance 0.02 --out array.safetensors
    mstpn pong --array array.safetensors --check-twin
    mstpn program --tolerances 0.01,0.02,0.05,0.1,0.2 --games 10 --sticky 0.25

The first writes a file of what the devices were brought to, on which the second plays. The third
programs an array and plays a game on it for every method, tolerance and seed; each is a row of the
table at once, and the same command again plays only what is missing. How much devices differ is
assumed, see `synapses/programming/spread.toml`.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mstpn.bridge.checkpoints import add_checkpoint_option
from mstpn.synapses.programming import ACCESS, METHODS
from mstpn.synapses.support.command_line import (
    Parser,
    exit_status,
    finite,
    integer,
    positive,
    probability,
    writable,
)

if TYPE_CHECKING:
    from mstpn.analysis.pictures.programming import ProgrammedGame
    from mstpn.bridge.programming import ProgrammedArray, Programming
    from mstpn.network.twin.checkpoint import Checkpoint
    from mstpn.synapses.memristor import Memristor
    from mstpn.synapses.nonidealities import Nonidealities

__all__ = ["Cell", "main", "parse_arguments"]

PROGRAM = "mstpn program"


class Cell(NamedTuple):
    """One array to program and play on."""

    method: str
    tolerance: float
    seed: int


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(prog=PROGRAM, description="Write an agent's W into an array by pulses.")
    add_checkpoint_option(parser)
    parser.add_argument(
        "--device", type=Path, metavar="FILE", help="device file, the package's own if absent"
    )
    parser.add_argument(
        "--method",
        choices=METHODS,
        default="verify",
        help="verify waits for F to fade before it reads, subtract reads twice and takes F off, "
        "at-once reads F and all, open-loop never reads (verify)",
    )
    parser.add_argument(
        "--tolerance",
        type=positive,
        default=0.02,
        metavar="W",
        help="distance from a target (0.02)",
    )
    parser.add_argument(
        "--patience",
        type=integer(1),
        default=60,
        metavar="N",
        help="sweeps over the array, then what is still off is given up (60)",
    )
    parser.add_argument(
        "--access",
        choices=ACCESS,
        default="rows",
        help="all devices of a row at once, or one device after the other (rows)",
    )
    parser.add_argument(
        "--start",
        type=finite,
        metavar="W",
        help="of all devices before the first pulse; the window's lower end if absent",
    )
    for name, what in (
        ("rate-dtod", "spread of the rates of SET and RESET from device to device, of ln"),
        ("rate-std", "the same from pulse to pulse"),
        ("read-std", "noise of a read, in units of W"),
    ):
        parser.add_argument(
            f"--{name}", type=finite, metavar="X", help=f"{what}; assumed if absent"
        )
    parser.add_argument(
        "--nonideal",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="as for mstpn pong: stuck devices, spread of F, and drift since, which is told of",
    )
    parser.add_argument("--seed", type=integer(0), default=1000, help="of devices and noise (1000)")
    parser.add_argument(
        "--out",
        type=writable,
        metavar="PATH",
        help="the array (array.safetensors), or with --tolerances the table (programming.csv)",
    )
    parser.add_argument("--json", type=writable, metavar="PATH")
    _add_study(parser)
    options = parser.parse_args(arguments)
    if options.tolerances is None:
        for name in ("games", "methods", "sticky", "flicker", "figure"):
            if getattr(options, name) != parser.get_default(name):
                parser.error(f"--{name} needs --tolerances")
    return options


def _add_study(parser: Parser) -> None:
    """Options of many arrays, each with a game on it."""
    from mstpn.bridge.runner import add_runner_options

    study = parser.add_argument_group("score, joules and seconds against tolerance")
    study.add_argument(
        "--tolerances", type=tolerances, metavar="W,W,...", help="program and play at each of these"
    )
    study.add_argument("--games", type=integer(1), default=3, metavar="N", help="of each (3)")
    study.add_argument(
        "--methods",
        type=methods,
        default=METHODS,
        metavar="NAME,NAME,...",
        help=f"these alone, of {', '.join(METHODS)}",
    )
    study.add_argument("--sticky", type=probability, default=0.0, metavar="P")
    study.add_argument("--flicker", type=probability, default=0.0, metavar="P")
    study.add_argument("--figure", type=writable, metavar="PNG", help="beside the table if absent")
    study.add_argument("--target", choices=("auto", "cython", "numpy"), default="auto")
    add_runner_options(parser)


def tolerances(text: str) -> tuple[float, ...]:
    """Argument type: tolerances."""
    return tuple(dict.fromkeys(positive(part) for part in text.split(",")))


def methods(text: str) -> tuple[str, ...]:
    """Argument type: methods."""
    for name in text.split(","):
        if name not in METHODS:
            raise argparse.ArgumentTypeError(f"must be of {', '.join(METHODS)}, got {name!r}")
    return tuple(dict.fromkeys(text.split(",")))


def main(arguments: list[str] | None = None) -> int:
    """Program, write, play if asked, print; return the exit status."""
    options = parse_arguments(arguments)
    if options.tolerances is None:
        return exit_status(PROGRAM, lambda: _one(options))
    out = options.out or Path("programming.csv")
    stopped = f"stopped, what is finished is in {out}"
    return exit_status(PROGRAM, lambda: _study(options, out), stopped)


def _inputs(
    options: argparse.Namespace, seed: int
) -> "tuple[Checkpoint, Memristor, Nonidealities]":
    """What is programmed, on what, from an option's seed where none is given for the devices."""
    from mstpn.network.twin.checkpoint import load_checkpoint
    from mstpn.synapses.memristor import DEFAULT_DEVICE, Memristor
    from mstpn.synapses.nonidealities import Nonidealities

    device = Memristor.from_file(options.device or DEFAULT_DEVICE)
    given = options.nonideal
    seeded = [] if any(text.startswith("seed=") for text in given) else [f"seed={seed}"]
    return load_checkpoint(options.checkpoint), device, Nonidealities.parse([*given, *seeded])


def _how(options: argparse.Namespace, device: "Memristor", cell: Cell) -> "Programming":
    from mstpn.bridge.programming import Programming
    from mstpn.synapses.programming.array import PulseSpread
    from mstpn.synapses.programming.write import Method

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
    from tqdm import tqdm

    from mstpn.bridge.programming import program, save_array
    from mstpn.synapses.support.files import write_json

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


def summary(array: "ProgrammedArray") -> str:
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
    import hashlib

    from mstpn.bridge.saved import fingerprints

    checkpoint, device, _ = _inputs(options, 0)
    how = _how(options, device, Cell("verify", 0.0, 0))
    content = repr(
        (
            *(fingerprints(checkpoint, device), how.spread, how.start, how.access),
            *(options.patience, options.sticky, options.flicker, sorted(options.nonideal)),
        )
    )
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def play(cell: Cell, options: argparse.Namespace) -> "ProgrammedGame":
    """Program an array, and play one game on it."""
    from brian2.units import joule

    from mstpn.analysis.pictures.programming import DECREED, ProgrammedGame
    from mstpn.bridge.agents import BrianAgent
    from mstpn.bridge.play import play_game
    from mstpn.bridge.pong import Pong
    from mstpn.bridge.programming import program
    from mstpn.network.frames import STEP_DURATION
    from mstpn.synapses.support.brian_target import use_target

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
    from mstpn.analysis.pictures.programming import DECREED

    pairs = [(DECREED, 0.0)]
    for name in options.methods:
        pairs += [(name, t) for t in (options.tolerances if name != "open-loop" else (0.0,))]
    return [Cell(*pair, options.seed + k) for k in range(options.games) for pair in pairs]


def _study(options: argparse.Namespace, out: Path) -> None:
    """Many arrays and games, into a table and a figure."""
    from dataclasses import asdict

    from mstpn.analysis.pictures.programming import ProgrammedGame, draw_programming
    from mstpn.bridge.grid import play_missing
    from mstpn.synapses.support.brian_target import use_target
    from mstpn.synapses.support.files import replacing, write_json

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


def by_method(games: "list[ProgrammedGame]") -> list[dict[str, Any]]:
    """Means of each method and tolerance."""
    import numpy as np

    from mstpn.analysis.pictures.programming import by_arm

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
