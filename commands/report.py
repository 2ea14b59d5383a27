"""Where the joules of a game go, and how they compare with GPUs: figures and one page.

    mstpn report --out report
    mstpn report --paper-check --json check.json

Needs `pip install 'mstpn[analysis]'`. The first plays a game of Pong on the Brian2 network
(or loads a ledger that `pong_brian.py --ledger` wrote) and draws Figs. 4c-4i of Weilenmann et
al., Nature Communications 15 (2024), with the ratio against every GPU baseline. The second
repeats the paper's own arithmetic. All constants are in data files; a device file of yours
replaces the paper's with --device FILE.
"""

import argparse
from io import BytesIO
from pathlib import Path

from brian2.units import second
from tqdm import tqdm

from mstpn.analysis.energy.ledger import load_recording, recorded
from mstpn.analysis.energy.recording import Recording, refuse_unfinished
from mstpn.analysis.gpu.baselines import MEASURED, baselines, paper_game
from mstpn.analysis.report import tables
from mstpn.analysis.report.page import make_report
from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.checkpoints import add_checkpoint_option
from mstpn.bridge.play import Game
from mstpn.bridge.pong import Pong
from mstpn.commands.playing import said_of_game
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.checkpoint import load_checkpoint
from mstpn.synapses.memristor import DEFAULT_DEVICE, Memristor
from mstpn.synapses.support.brian_target import compiled
from mstpn.synapses.support.command_line import Parser, exit_status, finite, integer, positive
from mstpn.synapses.support.files import atomic_write, write_json


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(prog="mstpn report", description="The energy of one game, traced and compared.")
    parser.add_argument(
        "--paper-check", action="store_true", help="repeat the paper's arithmetic and end"
    )
    parser.add_argument("--load", type=Path, metavar="LEDGER", help="instead of playing a game")
    parser.add_argument("--seed", type=integer(0), default=1000, help="of the game")
    add_checkpoint_option(parser)
    parser.add_argument("--device", type=Path, default=DEFAULT_DEVICE, metavar="FILE")
    parser.add_argument("--out", type=Path, default=Path("energy_report"), metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="PATH", help="the figures for a program")
    parser.add_argument("--samples", type=integer(1), default=300, metavar="N")
    parser.add_argument("--sample-seed", type=integer(0), default=0, metavar="S")
    parser.add_argument(
        "--synapse", type=pair, action="append", default=[], metavar="PRE,POST", help="to trace"
    )
    parser.add_argument(
        "--keep-decay", type=finite, metavar="LAMBDA", help="also at the cheapest voltage for it"
    )
    parser.add_argument(
        "--seconds-per-decision", type=positive, metavar="S", help="a time base of your own"
    )
    parser.add_argument(
        "--measured-gpu",
        type=lambda text: MEASURED.get(text, Path(text)),
        metavar="FILE",
        help=f"result of mstpn gpu-energy, or one that comes along: {', '.join(MEASURED)}",
    )
    parser.add_argument(
        "--include-what-paper-leaves-out",
        action="store_true",
        help="reads, ADC and DAC, digital arithmetic and front-end: the ratio of systems",
    )
    return parser.parse_args(arguments)


def pair(text: str) -> tuple[int, int]:
    """Argument type: two unit numbers."""
    parts = text.split(",")
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        raise argparse.ArgumentTypeError(f"must be PRE,POST, two unit numbers, got {text!r}")
    return int(parts[0]), int(parts[1])


def play(options: argparse.Namespace, device: Memristor) -> Recording:
    """Play a game on the Brian2 network; its parts lie in the report's folder meanwhile."""
    path = options.out / "game.nc"
    refuse_unfinished(path)
    checkpoint = load_checkpoint(options.checkpoint)
    agent = compiled("auto", lambda: BrianAgent(checkpoint, device, STEP_DURATION))
    pong = Pong()
    with recorded(path, device, **said_of_game(agent, options)) as recorder:
        frames = Game(pong, agent, options.seed).frames()
        for frame in tqdm(frames, desc="playing", unit="decision", disable=None):
            recorder.record(frame.z, frame.h)
    pong.close()
    return load_recording(path)


def check_paper(options: argparse.Namespace, device: Memristor) -> None:
    """Print the paper's arithmetic, and write it if asked."""
    game, registry = paper_game(), baselines()
    found = tables.paper_check(game, device, registry)
    if options.json is not None:
        write_json(options.json, found)
    print(tables.paper_check_text(found, game, device, registry))


def write_report(options: argparse.Namespace, device: Memristor) -> None:
    """Play or load, count, draw, write."""
    registry = baselines(options.measured_gpu)
    step = options.seconds_per_decision
    recording = load_recording(options.load) if options.load else play(options, device)
    with tqdm(desc="sampling", total=options.samples + 1, disable=None) as bar:
        report = make_report(
            recording,
            device,
            registry,
            n_samples=options.samples,
            seed=options.sample_seed,
            synapses=options.synapse,
            keep_decay=options.keep_decay,
            step=None if step is None else step * second,
            with_left_out=options.include_what_paper_leaves_out,
            progress=bar.update,
        )
    pictures = {}
    for name, figure in tqdm(report.figures().items(), desc="drawing", disable=None):
        content = BytesIO()
        figure.savefig(content, format="png")
        pictures[name] = content.getvalue()
        atomic_write(options.out / f"{name}.png", pictures[name])
    checked = tables.paper_check(report.game, device, registry)
    atomic_write(options.out / "report.html", report.html(checked, pictures).encode())
    if options.json is not None:
        write_json(options.json, report.numbers())
    print(f"{report.text()}\n{options.out / 'report.html'}, figures beside it")


def main(arguments: list[str] | None = None) -> int:
    """Check the paper or report on a game; return the exit status."""
    options = parse_arguments(arguments)

    def work() -> None:
        device = Memristor.from_file(options.device)
        if options.paper_check:
            check_paper(options, device)
        else:
            write_report(options, device)

    return exit_status("mstpn report", work)
