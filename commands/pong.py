"""Play Atari Pong with a Brian2 network of 169,984 SrTiO3 memristors, and count joules.

    mstpn pong --games 3 --check-twin --json games.json

The conv front-end runs in NumPy; the m-STPN layer is a Brian2 network whose synapses
follow Weilenmann et al., Nature Communications 15 (2024). Every constant of the device is
in a file of yours if you say --device FILE.
"""

import argparse
from pathlib import Path

from mstpn.bridge.checkpoints import add_checkpoint_option
from mstpn.commands.options import add_game_options
from mstpn.synapses.support.command_line import (
    Parser,
    exit_status,
    finite,
    integer,
    positive,
    writable,
)

__all__ = ["main", "parse_arguments"]

PROGRAM = "mstpn pong"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(prog=PROGRAM, description="Pong on a Brian2 network of memristors.")
    parser.add_argument("--games", type=integer(1), default=1, metavar="N")
    parser.add_argument(
        "--seed", type=integer(0), default=1000, help="of the first game; one more for each next"
    )
    parser.add_argument(
        "--processes", type=integer(1), default=1, metavar="N", help="play N games side by side"
    )
    add_checkpoint_option(parser)
    parser.add_argument(
        "--device", type=Path, metavar="FILE", help="device file, the package's own if absent"
    )
    parser.add_argument(
        "--array",
        type=Path,
        metavar="FILE",
        help="W as mstpn program brought an array to it, and its devices",
    )
    parser.add_argument(
        "--bias",
        choices=("trained", "worst-case"),
        default="trained",
        help="voltage the bias energy is charged at: each synapse's own, or the device's largest",
    )
    parser.add_argument(
        "--hold",
        type=finite,
        metavar="VOLT",
        help="hold this voltage on all synapses instead of the agent's own: F decays as under it",
    )
    parser.add_argument(
        "--nearest-decay",
        action="store_true",
        help="where the device does not reach the agent's Lambda, hold the nearest that it does",
    )
    parser.add_argument(
        "--ideal-updates",
        action="store_true",
        help="every update as it is wanted, though no pulse of the device could make it",
    )
    parser.add_argument(
        "--coding",
        choices=("graded", "spikes"),
        default="graded",
        help="what inputs and outputs of the units are: numbers, or one spike each, whose time in "
        "the frame is the number",
    )
    parser.add_argument(
        "--bins", type=integer(2), metavar="B", help="of a frame, with --coding spikes (16)"
    )
    parser.add_argument(
        "--full-scale",
        type=positive,
        metavar="Z",
        help="input whose spike is in the first bin (4; 1 if inputs are normalised)",
    )
    parser.add_argument("--target", choices=("auto", "cython", "numpy"), default="auto")
    add_game_options(parser)
    parser.add_argument(
        "--nonideal",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="devices that are not ideal: spread, stuck devices, drift, a slow part of F; an "
        "unknown name lists them all",
    )
    parser.add_argument("--check-twin", action="store_true", help="run the torch twin beside")
    parser.add_argument(
        "--ledger", type=writable, metavar="PATH", help="energy of every synapse, first game"
    )
    parser.add_argument("--gif", type=writable, metavar="PATH", help="film of the first game")
    parser.add_argument(
        "--gif-seconds", type=integer(1), metavar="S", help="film no more than S seconds of it"
    )
    parser.add_argument("--json", type=writable, metavar="PATH")
    parser.add_argument(
        "--state", type=writable, metavar="PATH", help="file that keeps the play so far"
    )
    parser.add_argument("--save-every", type=integer(1), default=200, metavar="N", help="decisions")
    parser.add_argument("--resume", action="store_true", help="go on from the file of --state")
    options = parser.parse_args(arguments)
    if options.coding == "graded" and (options.bins or options.full_scale):
        parser.error("--bins and --full-scale need --coding spikes")
    if options.resume and options.state is None:
        parser.error("--resume needs --state")
    if options.state is not None and options.gif is not None:
        parser.error("--gif films games that are played in one go, leave --state out")
    if options.state is not None and options.processes > 1:
        parser.error("--state keeps games that are played in turn, leave --processes out")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Play, print, write; return the exit status."""
    options = parse_arguments(arguments)
    return exit_status(PROGRAM, lambda: _work(options))


def _work(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from mstpn.analysis.energy.recording import refuse_unfinished
    from mstpn.commands.work import scores
    from mstpn.commands.work.playing import Setup, play
    from mstpn.synapses.support.files import write_json

    if options.state is not None and options.state.exists() and not options.resume:
        raise ValueError(f"{options.state} holds a stopped play: go on with --resume, or remove it")
    if options.ledger is not None and not options.resume:
        refuse_unfinished(options.ledger)
    setup = Setup.of(options)
    spike_code = setup.spike_code
    records, film = play(options)
    print(scores.table(records, setup.checkpoint, setup.device, options.bias, spike_code))
    if options.json is not None:
        asked = {"checkpoint": options.checkpoint.name, "held_volt": options.hold}
        asked["nearest_decay"] = options.nearest_decay
        asked["array"] = None if options.array is None else options.array.name
        asked |= {n: getattr(options, n) for n in ("bias", "sticky", "flicker", "coding")}
        asked["bins"] = spike_code and spike_code.bins
        asked["full_scale"] = spike_code and spike_code.full_scale
        content = scores.summary(records, setup.checkpoint, setup.device) | asked
        content["nonidealities"] = setup.spread.to_json()
        write_json(options.json, content)
    if film is not None:
        with tqdm(desc=f"drawing {options.gif}", total=len(film.times), disable=None) as bar:
            film.save(options.gif, progress=bar.update)
    if options.state is not None:
        options.state.unlink()
