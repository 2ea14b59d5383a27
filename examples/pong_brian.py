"""Play Atari Pong with a Brian2 network of 169,984 SrTiO3 memristors, and count joules.

    python examples/pong_brian.py --games 3 --check-twin --json games.json

The conv front-end runs in torch; the m-STPN layer is a Brian2 network whose synapses
follow Weilenmann et al., Nature Communications 15 (2024). Every constant of the device is
in a file of yours if you say --device FILE.
"""

import argparse
import json
import multiprocessing
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from brian2 import prefs
from brian2.units import Quantity, mjoule, msecond, second, volt
from tqdm import tqdm

from mstpn.analysis.energy.recording import parts_folder, refuse_unfinished
from mstpn.analysis.gpu.baselines import baselines, paper_game
from mstpn.analysis.pictures.film import SynapseFilm
from mstpn.bridge.ablation import ablated, held_at
from mstpn.bridge.agents import BrianAgent, TwinAgent
from mstpn.bridge.checkpoints import add_checkpoint_option
from mstpn.bridge.conversion import held_parameters, line_voltages
from mstpn.bridge.play import FrameRecorder, GameRecord, play_game
from mstpn.bridge.pong import Pong
from mstpn.bridge.saved import Saved, fingerprints, load_play, save_play
from mstpn.network.frames import STEP_DURATION
from mstpn.network.saturation import H_SATURATED
from mstpn.network.twin.checkpoint import Checkpoint, load_checkpoint
from mstpn.synapses.memristor import DEFAULT_DEVICE, Memristor
from mstpn.synapses.nonidealities import Nonidealities
from mstpn.synapses.support.brian_target import compiled, use_target
from mstpn.synapses.support.command_line import Parser, exit_status, integer, probability, writable
from mstpn.synapses.support.files import atomic_write

PICTURE_EVERY = 2
"""Decisions per picture of the GIF."""


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(description="Pong on a Brian2 network of memristors.")
    parser.add_argument("--games", type=integer(1), default=1, metavar="N")
    parser.add_argument(
        "--seed", type=integer(0), default=1000, help="of the first game; one more for each next"
    )
    parser.add_argument(
        "--processes", type=integer(1), default=1, metavar="N", help="play N games side by side"
    )
    add_checkpoint_option(parser)
    parser.add_argument("--device", type=Path, default=DEFAULT_DEVICE, metavar="FILE")
    parser.add_argument(
        "--bias",
        choices=("trained", "worst-case"),
        default="trained",
        help="voltage the bias energy is charged at: each synapse's own, or the device's largest",
    )
    parser.add_argument(
        "--hold",
        type=float,
        metavar="VOLT",
        help="hold this voltage on all synapses instead of the agent's own: F decays as under it",
    )
    parser.add_argument(
        "--ideal-updates",
        action="store_true",
        help="every update as it is wanted, though no pulse of the device could make it",
    )
    parser.add_argument("--target", choices=("auto", "cython", "numpy"), default="auto")
    parser.add_argument(
        "--sticky",
        type=probability,
        default=0.0,
        metavar="P",
        help="probability that the emulator repeats the last action",
    )
    parser.add_argument(
        "--flicker",
        type=probability,
        default=0.0,
        metavar="P",
        help="probability that a frame is blanked",
    )
    parser.add_argument(
        "--nonideal",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="devices that are not ideal, any of "
        + ", ".join(f.name for f in fields(Nonidealities))
        + "; volt and second",
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
    if options.resume and options.state is None:
        parser.error("--resume needs --state")
    if options.state is not None and options.gif is not None:
        parser.error("--gif films games that are played in one go, leave --state out")
    if options.state is not None and options.processes > 1:
        parser.error("--state keeps games that are played in turn, leave --processes out")
    return options


Played = tuple[GameRecord, SynapseFilm | None]
"""A game's record, and its film if there is one."""


def load_agent(options: argparse.Namespace, device: Memristor) -> Checkpoint:
    """The checkpoint as it is to play."""
    checkpoint = load_checkpoint(options.checkpoint)
    if options.ideal_updates:
        checkpoint = ablated("ideal updates", checkpoint, device, 0)
    if options.hold is not None:
        checkpoint = held_at(checkpoint, device, options.hold * volt)
    return checkpoint


class Player:
    """Plays any of the games; records the first one's ledger and films it if asked."""

    def __init__(self, options: argparse.Namespace) -> None:
        device = Memristor.from_file(options.device)
        checkpoint = load_agent(options, device)
        spread = Nonidealities.parse(options.nonideal)
        if spread and options.ledger is not None:
            raise ValueError("--ledger is for ideal devices, leave --nonideal out")
        self.options = options
        self.recorded = ledger_recorder(options, device) if options.ledger is not None else None
        self.agent = compiled(
            options.target, lambda: BrianAgent(checkpoint, device, STEP_DURATION, spread)
        )
        self.twin = TwinAgent(checkpoint, device, spread) if options.check_twin else None
        self.pong = Pong(
            sticky=options.sticky, flicker=options.flicker, render=options.gif is not None
        )
        self.keeper = None
        if options.state is not None:
            self.keeper = Keeper(options, checkpoint, device, spread)

    def play(
        self,
        number: int,
        on_step: Callable[[int, float], None] | None = None,
        *,
        before: Sequence[GameRecord] = (),
        state: Mapping[str, Any] | None = None,
    ) -> Played:
        """Play the game of this number, from 0 on, from a state if there is one.

        `before` are the games that are kept with this one's states.
        """
        first, state, keeper = number == 0, state or {}, self.keeper
        camera = Camera(self.pong, self.agent, self.options) if first and self.options.gif else None

        def step(decisions: int, score: float) -> None:
            if camera is not None:
                camera.step(decisions)
            if on_step is not None:
                on_step(decisions, score)

        wanted = self.recorded if first else None
        with wanted(self.agent, state) if wanted is not None else nullcontext() as recorder:
            record = play_game(
                self.pong,
                self.agent,
                self.options.seed + number,
                twin=self.twin,
                worst_case_bias=self.options.bias == "worst-case",
                recorder=recorder,
                on_step=step,
                saved=state,
                save=partial(keeper.save, tuple(before)) if keeper is not None else None,
                save_every=self.options.save_every,
            )
        return record, camera.film if camera is not None else None


def play(options: argparse.Namespace) -> tuple[list[GameRecord], SynapseFilm | None]:
    """Play all games, in one process or in several."""
    side_by_side = options.processes > 1 and options.games > 1
    played = play_in_processes(options) if side_by_side else play_in_turn(options)
    return [record for record, _ in played], played[0][1]


def play_in_turn(options: argparse.Namespace) -> list[Played]:
    """One game after the other, those left out that a stopped play had finished."""
    player = Player(options)
    saved = player.keeper.begin() if player.keeper is not None else Saved()
    played: list[Played] = [(record, None) for record in saved.records]
    with tqdm(desc="compiling", unit="decision", disable=None) as bar:

        def on_step(decisions: int, score: float) -> None:
            bar.update()
            bar.set_description(f"game {len(played) + 1}/{options.games}", refresh=False)
            bar.set_postfix(score=int(score), refresh=False)

        state = saved.state
        for number in range(len(played), options.games):
            before = [record for record, _ in played]
            played.append(player.play(number, on_step, before=before, state=state))
            state = {}
    player.pong.close()
    return played


def play_in_processes(options: argparse.Namespace) -> list[Played]:
    """Games side by side; whatever ends one early ends all."""
    options.target = use_target(options.target)  # said once, however many processes
    context = multiprocessing.get_context("spawn")
    n = min(options.processes, options.games)
    pool = ProcessPoolExecutor(n, context, initializer=prepare_process)
    try:
        games = [pool.submit(play_here, number, options) for number in range(options.games)]
        for game in tqdm(as_completed(games), total=len(games), unit="game", disable=None):
            game.result()
        return [game.result() for game in games]
    except BrokenProcessPool as error:
        raise ValueError(f"a process that played ended early: {error}") from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()


_players: list[Player] = []
"""That of this process, where it is one of several."""


def prepare_process() -> None:
    """Make this process one of several; an interrupt is its parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)


def play_here(number: int, options: argparse.Namespace) -> Played:
    """Play a game in this process."""
    if not _players:
        _players.append(Player(options))
    return _players[0].play(number)


class Keeper:
    """Keeps the play in the file of --state."""

    def __init__(
        self,
        options: argparse.Namespace,
        checkpoint: Checkpoint,
        device: Memristor,
        spread: Nonidealities,
    ) -> None:
        self.path, self.resume = options.state, options.resume
        self.settings = {
            "seed": options.seed,
            **fingerprints(checkpoint, device),
            "sticky": options.sticky,
            "flicker": options.flicker,
            "nonideal": spread.to_json(),
            "target": str(prefs.codegen.target),
            "check_twin": options.check_twin,
            "bias": options.bias,
            "ledger": options.ledger is not None,
        }

    def begin(self) -> Saved:
        """What to go on with; a file, so that there is one whenever the play is stopped."""
        if self.resume:
            return load_play(self.path, self.settings)
        self.save((), {})
        return Saved()

    def save(self, records: Sequence[GameRecord], state: dict[str, Any]) -> None:
        """Save the games that are over and the state of the one in play."""
        save_play(self.path, Saved(records, state), self.settings)


def ledger_recorder(
    options: argparse.Namespace, device: Memristor
) -> Callable[[BrianAgent, Mapping[str, Any]], AbstractContextManager[FrameRecorder | None]]:
    """What records a game and writes its ledger once it is over."""
    try:
        from mstpn.analysis.energy.ledger import recorded
    except ImportError as error:
        raise ValueError(f"--ledger needs pip install -e '.[analysis]': {error}") from error

    def record(
        agent: BrianAgent, state: Mapping[str, Any]
    ) -> AbstractContextManager[FrameRecorder | None]:
        if state and options.ledger.exists() and not parts_folder(options.ledger).exists():
            return nullcontext()  # stopped when the game was over and its ledger written
        return recorded(
            options.ledger,
            device,
            parameters=held_parameters(agent.network),
            step_duration=STEP_DURATION,
            attributes={
                "seed": str(options.seed),
                "checkpoint": options.checkpoint.name,
                "bias_lines": agent.network.parameters.bias_lines,
            },
            bias=options.bias.replace("-", " "),
            resume_at=len(state.get("actions", ())) if options.resume else None,
        )

    return record


class Camera:
    """Films the game and the 256 synapses that learn fastest."""

    def __init__(self, pong: Pong, agent: BrianAgent, options: argparse.Namespace) -> None:
        self.pong, self.network = pong, agent.network
        self.worst_case = options.bias == "worst-case"
        self.end_s = options.gif_seconds or float("inf")
        synapses = self.network.synapses
        self.chosen = np.argsort(-np.abs(synapses.Gamma[:]))[:256]
        self.film = SynapseFilm(
            np.asarray(synapses.W[:])[self.chosen],
            [f"synapse {synapses.i[k]} \N{RIGHTWARDS ARROW} {synapses.j[k]}" for k in self.chosen],
            ", ".join(sorted({c.provenance for c in self.network.device.constants.values()})),
        )

    def step(self, decisions: int) -> None:
        """Take a picture every few decisions."""
        time_s = decisions * float(STEP_DURATION)
        if decisions % PICTURE_EVERY or time_s > self.end_s:
            return
        trace = self.network.trace[self.chosen]
        energy = sum(float(e) for e in self.network.energy(worst_case=self.worst_case).values())
        self.film.add(time_s, self.pong.screen, trace, energy)


def table(records: list[GameRecord], checkpoint: Checkpoint, device: Memristor, bias: str) -> str:
    """What the games were, for a person."""
    config = checkpoint.config
    n_synapses = checkpoint.tensors["layer.weight"].size
    steps = sum(r.decisions for r in records)
    lines = [
        f"Pong on a Brian2 network: {config.n_hidden} units, {n_synapses:,} memristive synapses",
        "",
        " seed  score  decisions  game (s)  wall (s)  x real time  step (ms)"
        "  pulses (mJ)  bias (mJ)  reads (mJ)  total (mJ)",
    ]
    for r in records:
        terms = [r.energy[t] / mjoule for t in ("pulse", "bias", "read")]
        lines.append(
            f"{r.seed:5d}  {r.score:+5.0f}  {r.decisions:9d}  {r.game_time / second:8.1f}"
            f"  {r.wall_time / second:8.1f}  {r.game_time / r.wall_time:11.1f}"
            f"  {1e3 * r.step_time_median / second:9.2f}"
            f"  {terms[0]:11.4f}  {terms[1]:9.3f}  {terms[2]:10.6f}  {sum(terms):10.3f}"
        )
    spent = sum((sum(r.energy.values(), 0 * mjoule) for r in records), 0 * mjoule)
    charged = {
        "trained": "each synapse's own voltage",
        "worst-case": "the device's largest voltage on every synapse, which is not held: F decays "
        "as under its own",
    }[bias]
    lines += [
        "",
        f"mean score {np.mean([r.score for r in records]):+.2f} over {len(records)} game(s); "
        f"bias charged at {charged}",
        lines_line(checkpoint, device),
        time_line(records, device),
        *gpu_lines(n_synapses * steps, spent),
        saturation_line(records),
    ]
    if all(r.twin_action_agreement is not None for r in records):
        agreement = min(r.twin_action_agreement or 0.0 for r in records)
        difference = max(r.twin_max_abs_difference or 0.0 for r in records)
        lines.append(
            f"torch twin in float64: {100 * agreement:.6g} % of actions equal, "
            f"max |difference of h| {difference:.1e}"
        )
    return "\n".join(lines)


def lines_line(checkpoint: Checkpoint, device: Memristor) -> str:
    """What is held between pulses, on which lines."""
    voltages = line_voltages(checkpoint, device)
    values = np.unique(np.round(voltages / volt, 3))
    shown = ", ".join(f"{v:.3f}" for v in values) if len(values) <= 4 else f"{len(values)} values"
    span = f"{shown} V" if len(values) <= 4 else f"{values[0]:.3f} to {values[-1]:.3f} V"
    return f"bias lines: one per {checkpoint.config.bias_lines}, {voltages.size:,} in all; {span}"


def time_line(records: list[GameRecord], device: Memristor) -> str:
    """How much of a step its writes and reads took."""
    rows, most, mean, largest = (
        max(r.step_time[name] for r in records)
        if name.endswith("max")
        else float(np.mean([r.step_time[name] for r in records]))
        for name in ("rows_mean", "rows_max", "time_mean", "time_max")
    )
    return (
        f"writes and reads, row by row: {rows:.0f} rows a step in the mean, {most:.0f} at most; "
        f"{mean:.1%} of the step's {STEP_DURATION / msecond:.1f} ms, {largest:.1%} at most"
        + ("" if largest <= 1 else ": they do NOT FIT into a step")
    )


def saturation_line(records: list[GameRecord]) -> str:
    """How often the limits of devices and of tanh were met, over all games."""
    share = {
        name: 100 * float(np.mean([r.saturation[name] for r in records]))
        for name in records[0].saturation
    }
    return (
        f"at limits: {share['updates_above_largest_pulse']:.2g} % of updates above the largest "
        f"pulse's, {share['totals_outside_window']:.2g} % of W + F outside the conductance "
        f"window, {share['h_saturated']:.2g} % of |h| >= {H_SATURATED}"
    )


def gpu_lines(synapse_steps: int, spent: Quantity) -> list[str]:
    """The paper's A100 for the same number of synapse-steps, under each assumed step rate."""
    baseline, game = baselines()["a100_fp16_best_size"], paper_game()
    lines = [
        f"the paper's A100 (fp16, its 96x baseline; {baseline.provenance}) "
        f"for the same {synapse_steps:,} synapse-steps:"
    ]
    for step in game.steps:
        energy = baseline.energy(synapse_steps, step.value)
        lines.append(
            f"  {energy / mjoule:9.1f} mJ = {float(energy / spent):6.1f} x the memristors, if its "
            f"game had {float(game.n_steps(step.value)):,.0f} steps "
            f"(one per 1/{float(second / step.value):.0f} s; {step.provenance})"
        )
    return lines


def write_json(
    options: argparse.Namespace,
    records: list[GameRecord],
    checkpoint: Checkpoint,
    device: Memristor,
    spread: Nonidealities,
) -> None:
    """Write what the games were, for a program."""
    summary = {
        "synapses": int(checkpoint.tensors["layer.weight"].size),
        "mean_return": float(np.mean([r.score for r in records])),
        "checkpoint": options.checkpoint.name,
        "device": device.name,
        "bias": options.bias,
        "sticky": options.sticky,
        "flicker": options.flicker,
        "held_volt": options.hold,
        "bias_lines": checkpoint.config.bias_lines,
        "line_volt": np.unique(line_voltages(checkpoint, device) / volt).tolist()
        if checkpoint.config.bias_lines in ("block", "array")
        else None,
        "nonidealities": spread.to_json(),
        "games": [r.to_json() for r in records],
    }
    atomic_write(options.json, json.dumps(summary, indent=1).encode())


def main(arguments: list[str] | None = None) -> int:
    """Play, print, write; return the exit status."""
    options = parse_arguments(arguments)
    torch.set_num_threads(1)

    def work() -> None:
        if options.state is not None and options.state.exists() and not options.resume:
            raise ValueError(
                f"{options.state} holds a stopped play: go on with --resume, or remove it"
            )
        if options.ledger is not None and not options.resume:
            refuse_unfinished(options.ledger)
        device = Memristor.from_file(options.device)
        checkpoint = load_agent(options, device)
        spread = Nonidealities.parse(options.nonideal)
        records, film = play(options)
        print(table(records, checkpoint, device, options.bias))
        if options.json is not None:
            write_json(options, records, checkpoint, device, spread)
        if film is not None:
            with tqdm(desc=f"drawing {options.gif}", total=len(film.times), disable=None) as bar:
                film.save(options.gif, progress=bar.update)
        if options.state is not None:
            options.state.unlink()

    return exit_status("pong_brian.py", work)


if __name__ == "__main__":
    sys.exit(main())
