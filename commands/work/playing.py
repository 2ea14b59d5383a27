"""Games of Pong as `mstpn pong` asks for them: in turn or side by side, kept, filmed, recorded."""

import argparse
import multiprocessing
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from brian2 import prefs
from brian2.units import volt
from tqdm import tqdm

from mstpn.analysis.energy.recording import Recorder, parts_folder
from mstpn.bridge.ablation import ablated, held_at
from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.conversion import held_parameters, nearest_decay
from mstpn.bridge.play import Frame, Game, GameRecord
from mstpn.bridge.pong import Pong
from mstpn.bridge.programming import load_array
from mstpn.bridge.runner import end_with_parent
from mstpn.bridge.saved import Saved, fingerprints, load_play, save_play
from mstpn.network.frames import STEP_DURATION
from mstpn.network.spikes import full_scale_of, rounding
from mstpn.network.twin.checkpoint import Checkpoint, load_checkpoint
from mstpn.synapses.memristor import DEFAULT_DEVICE, Memristor
from mstpn.synapses.nonidealities import Nonidealities
from mstpn.synapses.spike_times import SpikeCode
from mstpn.synapses.support.brian_target import compiled, use_target

if TYPE_CHECKING:
    from mstpn.analysis.pictures.film import SynapseFilm
    from mstpn.bridge.twin_agent import TwinAgent

__all__ = ["Played", "Setup", "game_attributes", "play"]

BINS = 16
"""Of a frame of spikes, unless they are given."""
PICTURE_EVERY = 2
"""Decisions per picture of the GIF."""

Played = tuple[GameRecord, "SynapseFilm | None"]
"""A game's record, and its film if there is one."""


class Setup(NamedTuple):
    """What plays: the device, the checkpoint as it is to play, how devices differ, and spikes."""

    device: Memristor
    checkpoint: Checkpoint
    spread: Nonidealities
    spike_code: SpikeCode | None = None

    @classmethod
    def of(cls, options: argparse.Namespace) -> "Setup":
        """As a command line asks for it."""
        device = Memristor.from_file(options.device or DEFAULT_DEVICE)
        checkpoint = load_checkpoint(options.checkpoint)
        spread = Nonidealities.parse(options.nonideal)
        if options.array is not None:
            array = load_array(options.array, checkpoint, device)
            checkpoint = array.put_on(checkpoint)
            spread = array.nonidealities(options.nonideal)
        if options.ideal_updates:
            checkpoint = ablated("ideal updates", checkpoint, device, 0)
        if options.nearest_decay:
            checkpoint = nearest_decay(checkpoint, device)
        if options.hold is not None:
            checkpoint = held_at(checkpoint, device, options.hold * volt)
        return cls(device, checkpoint, spread, spike_code_of(options, checkpoint, spread))


def spike_code_of(
    options: argparse.Namespace, checkpoint: Checkpoint, spread: Nonidealities
) -> SpikeCode | None:
    """How values become spikes, if they are to."""
    if options.coding == "graded":
        return None
    if spread:
        culprit = "--nonideal" if options.array is None else "--array, whose devices are not ideal,"
        raise ValueError(f"--coding spikes is for ideal devices, leave {culprit} out")
    full_scale = options.full_scale or full_scale_of(checkpoint.config.normalisation)
    return SpikeCode(options.bins or BINS, full_scale)


class Player:
    """Plays any of the games; records the first one's ledger and films it if asked."""

    def __init__(self, options: argparse.Namespace) -> None:
        device, checkpoint, spread, spike_code = setup = Setup.of(options)
        if spread and options.ledger is not None:
            raise ValueError("--ledger is for ideal devices, leave --nonideal out")
        self.options = options
        self.recorded = ledger_recorder() if options.ledger is not None else None
        self.agent = compiled(
            options.target,
            lambda: BrianAgent(checkpoint, device, STEP_DURATION, spread, spike_code),
        )
        self.twin = twin_of(setup) if options.check_twin else None
        self.pong = Pong(sticky=options.sticky, flicker=options.flicker)
        self.keeper = Keeper(options, setup) if options.state is not None else None

    def play(
        self,
        number: int,
        bar: "tqdm[Any] | None" = None,
        *,
        before: Sequence[GameRecord] = (),
        state: Mapping[str, Any] | None = None,
    ) -> Played:
        """Play the game of this number, from 0 on, from a state if there is one.

        `before` are the games that are kept with this one's states.
        """
        state, options = state or {}, self.options
        game = Game(self.pong, self.agent, options.seed + number, twin=self.twin)
        camera = Camera(game, options) if options.gif is not None and number == 0 else None
        with self.recorder(state) if number == 0 else nullcontext() as recorder:
            if state:
                game.restore(state)
            for frame in game.frames():
                if recorder is not None:
                    recorder.record(frame.z, frame.h)
                if camera is not None:
                    camera.take(frame)
                if self.keeper is not None and self.keeper.due(frame):
                    if recorder is not None:
                        recorder.flush()
                    self.keeper.save(before, game.state())
                if bar is not None:
                    bar.update()
                    bar.set_postfix(score=int(frame.score), refresh=False)
            record = game.record(worst_case_bias=options.bias == "worst-case")
        return record, camera.film if camera is not None else None

    def recorder(self, state: Mapping[str, Any]) -> AbstractContextManager[Recorder | None]:
        """What records the game and writes its ledger once it is over, if one is asked for."""
        path, resume = self.options.ledger, self.options.resume
        if self.recorded is None:
            return nullcontext()
        if state and path.exists() and not parts_folder(path).exists():
            return nullcontext()  # stopped when the game was over and its ledger written
        return self.recorded(
            path,
            self.agent.network.device,
            **game_attributes(self.agent, self.options),
            bias=self.options.bias.replace("-", " "),
            resume_at=len(state.get("actions", ())) if resume else None,
        )


def play(options: argparse.Namespace) -> tuple[list[GameRecord], "SynapseFilm | None"]:
    """Play all games, in one process or in several."""
    side_by_side = options.processes > 1 and options.games > 1
    played = play_in_processes(options) if side_by_side else play_in_turn(options)
    return [record for record, _ in played], played[0][1]


def play_in_turn(options: argparse.Namespace) -> list[Played]:
    """One game after the other, those left out that a stopped play had finished."""
    with tqdm(desc="compiling, half a minute the first time", unit="decision", disable=None) as bar:
        player = Player(options)
        saved = player.keeper.begin() if player.keeper is not None else Saved()
        played: list[Played] = [(record, None) for record in saved.records]

        state = saved.state
        for number in range(len(played), options.games):
            before = [record for record, _ in played]
            bar.set_description(f"game {number + 1}/{options.games}")
            played.append(player.play(number, bar, before=before, state=state))
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
    end_with_parent()


def play_here(number: int, options: argparse.Namespace) -> Played:
    """Play a game in this process."""
    if not _players:
        _players.append(Player(options))
    return _players[0].play(number)


def twin_of(setup: Setup) -> "TwinAgent":
    """The torch twin, on one thread."""
    import torch

    from mstpn.bridge.twin_agent import TwinAgent

    torch.set_num_threads(1)
    spread = setup.spread if setup.spike_code is None else rounding(setup.spike_code)
    return TwinAgent(setup.checkpoint, setup.device, spread)


class Keeper:
    """Keeps the play in the file of --state."""

    def __init__(self, options: argparse.Namespace, setup: Setup) -> None:
        self.path, self.resume, self.every = options.state, options.resume, options.save_every
        self.settings = {
            "seed": options.seed,
            **fingerprints(setup.checkpoint, setup.device),
            "sticky": options.sticky,
            "flicker": options.flicker,
            "nonideal": setup.spread.to_json(),
            "target": str(prefs.codegen.target),
            "check_twin": options.check_twin,
            "bias": options.bias,
            "ledger": options.ledger is not None,
            "spikes": setup.spike_code and asdict(setup.spike_code),
        }

    def begin(self) -> Saved:
        """What to go on with; a file, so that there is one whenever the play is stopped."""
        if self.resume:
            return load_play(self.path, self.settings)
        self.save((), {})
        return Saved()

    def due(self, frame: Frame) -> bool:
        """Whether the game is to be saved after this frame."""
        return frame.done or frame.decisions % self.every == 0

    def save(self, records: Sequence[GameRecord], state: dict[str, Any]) -> None:
        """Save the games that are over and the state of the one in play."""
        save_play(self.path, Saved(tuple(records), state), self.settings)


def game_attributes(agent: BrianAgent, options: argparse.Namespace) -> dict[str, Any]:
    """What a ledger says of the game that an agent plays, beside its frames."""
    array, spike_code = vars(options).get("array"), agent.spike_code
    return {
        "parameters": held_parameters(agent.network),
        "step_duration": STEP_DURATION,
        "attributes": {
            "seed": str(options.seed),
            "checkpoint": options.checkpoint.name,
            "bias_lines": agent.network.parameters.bias_lines,
            **({} if array is None else {"array": array.name}),
            **({} if spike_code is None else {"bins": str(spike_code.bins)}),
        },
    }


def ledger_recorder() -> Callable[..., AbstractContextManager[Recorder]]:
    """`recorded`, or one line about what is missing."""
    try:
        from mstpn.analysis.energy.ledger import recorded
    except ImportError as error:
        raise ValueError(f"--ledger needs pip install -e '.[analysis]': {error}") from error
    return recorded


class Camera:
    """Films the game and the 256 synapses that learn fastest."""

    def __init__(self, game: Game, options: argparse.Namespace) -> None:
        self.pong, self.network = game.pong, game.agent.network
        self.worst_case = options.bias == "worst-case"
        self.end_s = options.gif_seconds or float("inf")
        synapses = self.network.synapses
        self.chosen = np.argsort(-np.abs(synapses.Gamma[:]))[:256]
        from mstpn.analysis.pictures.film import SynapseFilm

        self.film = SynapseFilm(
            np.asarray(synapses.W[:])[self.chosen],
            [f"synapse {synapses.i[k]} \N{RIGHTWARDS ARROW} {synapses.j[k]}" for k in self.chosen],
            ", ".join(sorted({c.provenance for c in self.network.device.constants.values()})),
        )

    def take(self, frame: Frame) -> None:
        """Take a picture every few decisions."""
        time_s = frame.decisions * float(STEP_DURATION)
        if frame.decisions % PICTURE_EVERY or time_s > self.end_s:
            return
        short_term = self.network.short_term[self.chosen]
        energy = sum(float(e) for e in self.network.energy(worst_case=self.worst_case).values())
        self.film.add(time_s, self.pong.screen, short_term, energy)
