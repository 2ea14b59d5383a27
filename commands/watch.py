"""Watch the agent think: game, synapses and joules live, with a hand on the voltage.

    mstpn watch
    mstpn watch --record game.html --seconds 30 --at 150:hold=0.1

The game is played on the Brian2 network of memristors. The page is on this machine's loopback
only; `--terminal` needs no browser, and a recorded game is one HTML file that needs no server.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mstpn.bridge.checkpoints import DEFAULT_CHECKPOINT, SHIPPED, add_checkpoint_option
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
    from mstpn.bridge.watch.session import Session
    from mstpn.bridge.watch.view import View

__all__ = ["gpu_energies", "main", "parse_arguments", "session_of", "view"]

PROGRAM = "mstpn watch"
GPUS = (
    "a100_fp16_best_size",
    "stream_hbm2_fp16",
    "resident_l2_fp16",
    "measured_fp16_fused_own_size",
)
"""Baselines that stand beside the memristors."""


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(
        prog=PROGRAM, description="Watch an agent play on memristors, with a hand on the voltage."
    )
    parser.add_argument("--seed", type=integer(0), default=1000, help="of the first game")
    add_checkpoint_option(parser, several=True)
    parser.add_argument(
        "--device",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="device file, the package's own if absent; repeat it to choose among more",
    )
    parser.add_argument(
        "--hold", type=finite, metavar="VOLT", help="hold this voltage on all synapses at the start"
    )
    for name, what in (
        ("sticky", "the last action is repeated"),
        ("flicker", "a frame is blanked"),
    ):
        parser.add_argument(
            f"--{name}", type=probability, default=0.0, metavar="P", help=f"probability that {what}"
        )
    parser.add_argument(
        "--nonideal",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="devices that are not ideal, as in mstpn pong",
    )
    parser.add_argument(
        "--at",
        action="append",
        default=[],
        metavar="DECISION:NAME=VALUE",
        help="a change before that decision of the first game, as the log shows it: "
        "150:hold=0.1, 300:plastic=false",
    )
    parser.add_argument("--target", choices=("auto", "cython", "numpy"), default="auto")
    parser.add_argument(
        "--seconds", type=positive, metavar="S", help="end after S seconds of game time"
    )
    parser.add_argument("--port", type=integer(0), default=0, help="0: any that is free (0)")
    parser.add_argument("--no-browser", action="store_true", help="print the address only")
    parser.add_argument(
        "--terminal", action="store_true", help="draw here; a line a second if this is no terminal"
    )
    parser.add_argument(
        "--record",
        type=writable,
        metavar="FILE",
        help="play one game as fast as it goes, and write it as a page that needs no server",
    )
    options = parser.parse_args(arguments)
    if options.record is not None and (options.terminal or options.no_browser or options.port):
        parser.error("--record shows nothing meanwhile, leave --terminal, --no-browser, --port out")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Play and show; return the exit status."""
    options = parse_arguments(arguments)
    return exit_status(PROGRAM, lambda: _work(options))


def view(*arguments: str, height: int = 980) -> "View":
    """The view for a notebook: show the object, and call its `close` in the end.

    Parameters
    ----------
    *arguments : str
        As on the command line, ``"--hold", "0.2"``.
    height : int
        Of the frame, pixels.

    Raises
    ------
    ValueError
        If a file or value is refused.
    """
    from mstpn.bridge.watch.view import View

    options = parse_arguments(arguments)
    session = session_of(options)
    return View(session, gpu=gpu_energies(), height=height, port=options.port)


def gpu_energies() -> dict[str, float]:
    """Joule per synapse and step of some GPU baselines, by label; one decision is one step."""
    from mstpn.analysis.gpu import MEASURED
    from mstpn.analysis.gpu.baselines import baselines
    from mstpn.network.frames import STEP_DURATION

    known = baselines(MEASURED["h100"])
    return {known[name].label: float(known[name].energy(1, STEP_DURATION)) for name in GPUS}


def session_of(options: argparse.Namespace) -> "Session":
    """A session as a command line asks for it; what comes along can be chosen too."""
    import torch

    from mstpn.bridge.watch.session import Session
    from mstpn.bridge.watch.settings import Choices, Settings
    from mstpn.network.twin.checkpoint import load_checkpoint
    from mstpn.synapses.memristor import DEFAULT_DEVICE, Memristor
    from mstpn.synapses.nonidealities import Nonidealities

    torch.set_num_threads(1)
    checkpoints = named([*(options.checkpoint or [DEFAULT_CHECKPOINT]), *SHIPPED.values()])
    devices = named([*(options.device or [DEFAULT_DEVICE]), DEFAULT_DEVICE])
    choices = Choices(
        {name: load_checkpoint(path) for name, path in checkpoints.items()},
        {name: Memristor.from_file(path) for name, path in devices.items()},
    )
    spread = Nonidealities.parse(options.nonideal)
    settings = Settings(
        checkpoint=next(iter(checkpoints)),
        device=next(iter(devices)),
        seed=options.seed,
        sticky=options.sticky,
        flicker=options.flicker,
        delta_f_std=spread.delta_f_std,
        corrupt_devices_prob=spread.corrupt_devices_prob,
        hold=options.hold,
    )
    return Session(choices, settings, nonidealities=spread, target=options.target)


def named(paths: Sequence[Path]) -> dict[str, Path]:
    """Files by their stems, or as they were given where two have the same."""
    different = list(dict.fromkeys(paths))
    stems = [path.stem for path in different]
    return {path.stem if stems.count(path.stem) == 1 else str(path): path for path in different}


def planned(options: argparse.Namespace) -> dict[int, dict[str, Any]]:
    """Changes by decision."""
    from mstpn.bridge.watch.settings import parse_change

    by_decision: dict[int, dict[str, Any]] = {}
    for text in options.at:
        decision, changes = parse_change(text)
        by_decision[decision] = by_decision.get(decision, {}) | changes
    return by_decision


def _work(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from mstpn.network.frames import STEP_DURATION

    changes = planned(options)
    n = None if options.seconds is None else max(1, round(options.seconds / float(STEP_DURATION)))
    notice = "compiling, half a minute the first time"
    with tqdm(desc=notice, bar_format="{desc}", leave=False, disable=None):
        session = session_of(options)
    for wanted in changes.values():
        session.choices.changed(session.settings, wanted)
    try:
        if options.record is not None:
            _record(options.record, session, changes, n)
        else:
            _show(options, session, changes, n)
    finally:
        session.close()


def _record(
    path: Path, session: "Session", changes: Mapping[int, dict[str, Any]], n: int | None
) -> None:
    from tqdm import tqdm

    from mstpn.bridge.watch.recording import Recording
    from mstpn.bridge.watch.settings import GAME

    for name in sorted({k for wanted in changes.values() for k in wanted} & {*GAME}):
        raise ValueError(f"--at {name} begins another game, and --record takes one only")
    recording = Recording(session, gpu_energies())
    with tqdm(desc="playing", unit="decision", total=n, disable=None) as bar:
        while not session.game.done and (n is None or session.game.decisions < n):
            if wanted := changes.get(session.game.decisions):
                session.change(**wanted)
            session.step()
            recording.take()
            bar.update()
    recording.save(path)
    game, joule = session.game, sum(session.energy().values())
    print(
        f"{path}: seed {game.seed}, score {game.score:+g} after {game.decisions} decisions, "
        f"{joule * 1e3:.4g} mJ; {path.stat().st_size / 1e6:.1f} MB"
    )


def _show(
    options: argparse.Namespace,
    session: "Session",
    changes: Mapping[int, dict[str, Any]],
    n: int | None,
) -> None:
    import webbrowser

    from mstpn.bridge.watch.live import Live
    from mstpn.bridge.watch.server import Server
    from mstpn.bridge.watch.terminal import Terminal

    live = Live(session, gpu=gpu_energies(), planned=changes)
    if options.terminal:
        with Terminal() as terminal:
            live.add(terminal)
            live.run(n)
        return
    server = Server(live, options.port)
    server.start()
    print(f"{server.address} shows the game; Ctrl-C ends it.", flush=True)
    if not options.no_browser:
        webbrowser.open(server.address)
    try:
        live.run(n)
    finally:
        server.stop()
