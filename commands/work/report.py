"""The energy of one game, counted, compared and drawn; and the arithmetic of the paper."""

import argparse
from io import BytesIO

from brian2.units import second
from tqdm import tqdm

from mstpn.analysis.energy.ledger import load_recording, recorded
from mstpn.analysis.energy.recording import Recording, refuse_unfinished
from mstpn.analysis.gpu.baselines import baselines, paper_game
from mstpn.analysis.report import tables
from mstpn.analysis.report.page import make_report
from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.play import Game
from mstpn.bridge.pong import Pong
from mstpn.commands.work.playing import game_attributes
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.checkpoint import Checkpoint, load_checkpoint
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.brian_target import compiled
from mstpn.synapses.support.files import atomic_write, write_json


def play(
    options: argparse.Namespace,
    device: Memristor,
    pong: Pong,
    name: str = "game.nc",
    checkpoint: Checkpoint | None = None,
) -> Recording:
    """Play a game on the Brian2 network; its parts lie in the report's folder meanwhile.

    The agent is that of the options' checkpoint if no other is given.
    """
    path = options.out / name
    refuse_unfinished(path)
    checkpoint = checkpoint or load_checkpoint(options.checkpoint)
    agent = compiled("auto", lambda: BrianAgent(checkpoint, device, STEP_DURATION))
    with recorded(path, device, **game_attributes(agent, options)) as recorder:
        frames = Game(pong, agent, options.seed).frames()
        for frame in tqdm(frames, desc="playing", unit="decision", disable=None):
            recorder.record(frame.z, frame.h)
    return load_recording(path)


def check_paper(options: argparse.Namespace, device: Memristor) -> None:
    """Print the paper's arithmetic, and write it if asked."""
    game, registry = paper_game(), baselines()
    check = tables.paper_check(game, device, registry)
    if options.json is not None:
        write_json(options.json, check)
    print(tables.paper_check_text(check, game, device, registry))


def write_report(options: argparse.Namespace, device: Memristor) -> None:
    """Play or load, count, draw, write."""
    registry = baselines(options.measured_gpu)
    step = options.seconds_per_decision
    recording = load_recording(options.load) if options.load else play(options, device, Pong())
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


def run(options: argparse.Namespace) -> None:
    """Check the paper or report on a game."""
    device = Memristor.from_file(options.device)
    if options.paper_check:
        check_paper(options, device)
    else:
        write_report(options, device)
