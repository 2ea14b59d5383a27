"""Many games in one process: does memory stay flat, and is every game still the same?

    python tests/benchmarks/soak.py --games 200 --json soak.json --figure soak.png

Plays on the shipped checkpoint with its state saved on the way, notes the process's resident
memory after every game, and plays every twelfth seed once more in a process of its own,
whose score and joules must be equal to the last bit. Memory is flat if the line through all
games but the first ten rises by less than 1 MiB in 100 games.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from tqdm import tqdm

from mstpn.analysis.pictures.style import COLOUR, GREY, STYLE
from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.checkpoints import DEFAULT_CHECKPOINT
from mstpn.bridge.play import Game
from mstpn.bridge.pong import Pong
from mstpn.bridge.saved import Saved, save_play
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.checkpoint import load_checkpoint
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.brian_target import compiled
from mstpn.synapses.support.files import atomic_write, replacing

EXAMPLE = Path(__file__).parents[2] / "examples/pong_brian.py"
SETTLING_GAMES = 10
FLAT_MIB_PER_100_GAMES = 1.0


def resident_mib() -> float:
    """Memory of this process in RAM (Linux), after Python's cyclic garbage is collected.

    Every `G[:]` or `E_bias[:]` of Brian2 leaves some: 0.7 MiB at 169,984 synapses, until
    Python's collector happens to run.
    """
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def soak(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Play one game after another; stop after the minutes, if there is a limit."""
    checkpoint, device = load_checkpoint(DEFAULT_CHECKPOINT), Memristor.from_file()
    agent = compiled("auto", lambda: BrianAgent(checkpoint, device, STEP_DURATION))
    pong, started = Pong(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.npz"
        for seed in tqdm(range(options.seed, options.seed + options.games), disable=None):
            if time.monotonic() - started > 60 * options.minutes:
                return
            game = Game(pong, agent, seed)
            for frame in game.frames():
                if frame.done or frame.decisions % 200 == 0:
                    save_play(path, Saved((), game.state()), {})
            yield essence(game.record().to_json()) | {"resident_mib": resident_mib()}


def essence(game: dict[str, Any]) -> dict[str, Any]:
    """What must not depend on the process."""
    return {name: game[name] for name in ("seed", "return", "decisions", "frames", "energy_j")}


def play_alone(seed: int) -> dict[str, Any]:
    """The same game in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "game.json"
        command = (sys.executable, str(EXAMPLE), "--seed", str(seed), "--json", str(path))
        subprocess.run(command, check=True, capture_output=True)
        return essence(json.loads(path.read_text())["games"][0])


def slope(games: list[dict[str, Any]]) -> float:
    """MiB per 100 games, least squares, without the first ones."""
    resident = [game["resident_mib"] for game in games[SETTLING_GAMES:]]
    return 100 * float(np.polyfit(np.arange(len(resident)), resident, 1)[0])


def draw(games: list[dict[str, Any]], rise: float) -> Figure:
    """Resident memory after each game."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 2.8))
        axes = figure.subplots()
        resident = [game["resident_mib"] for game in games]
        axes.plot(range(1, len(games) + 1), resident, ".-", color=COLOUR["bias"], linewidth=0.8)
        axes.axvline(SETTLING_GAMES, color=GREY, linestyle=":", linewidth=0.8)
        axes.set(xlabel="games played in one process", ylabel="resident memory (MiB)")
        axes.set_ylim(0, 1.15 * max(resident))
        axes.set_title(
            f"{rise:+.2f} MiB per 100 games from game {SETTLING_GAMES + 1} on", loc="left"
        )
    return figure


def main() -> int:
    """Play, check, print; the exit status is 1 if memory grows or a game differs."""
    parser = argparse.ArgumentParser(description="Many games in one process.")
    parser.add_argument("--games", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="of play at most")
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--check-every", type=int, default=12, metavar="K")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    games = list(soak(options))
    if len(games) < SETTLING_GAMES + 2:
        parser.error(f"needs at least {SETTLING_GAMES + 2} games, got {len(games)}")
    checked = games[:: options.check_every]
    different = [
        game["seed"]
        for game in tqdm(checked, desc="in processes of their own", disable=None)
        if play_alone(game["seed"]) != essence(game)
    ]
    rise = slope(games)
    decisions = sum(game["decisions"] for game in games)
    print(f"{len(games)} games, {decisions:,} decisions in one process")
    print(f"resident memory {games[-1]['resident_mib']:.1f} MiB, {rise:+.3f} MiB per 100 games")
    print(f"{len(checked)} of them played again alone: {len(different)} differ {different or ''}")
    if options.json is not None:
        found = {
            "command": "python " + " ".join(sys.argv),
            "mib_per_100_games": rise,
            "played_again": len(checked),
            "different_seeds": different,
            "games": games,
        }
        atomic_write(options.json, json.dumps(found, indent=1).encode())
    if options.figure is not None:
        with replacing(options.figure) as partial:
            draw(games, rise).savefig(partial)
    return int(bool(different) or rise >= FLAT_MIB_PER_100_GAMES)


if __name__ == "__main__":
    sys.exit(main())
