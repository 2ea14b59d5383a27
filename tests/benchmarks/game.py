"""Where the time of a whole game goes, its ledger included, and how much faster than real time.

    taskset -c 0 python tests/benchmarks/game.py --json game.json

One thread plays games of the shipped agent as `pong_brian.py --ledger` does. The first game
compiles and is not counted.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mstpn.analysis.energy.ledger import recorded
from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.checkpoints import DEFAULT_CHECKPOINT
from mstpn.bridge.conversion import held_parameters
from mstpn.bridge.play import Game
from mstpn.bridge.pong import Pong
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.checkpoint import load_checkpoint
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.brian_target import use_target


class Stopwatch:
    """Seconds spent in callables, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def on(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same callable, watched."""
        self.seconds[name] = 0.0

        def watched(*args: Any) -> Any:
            started = time.perf_counter()
            result = call(*args)
            self.seconds[name] += time.perf_counter() - started
            return result

        return watched


def play(agent: BrianAgent, seed: int, path: Path) -> dict[str, float]:
    """Play one game; seconds of its parts, of all of it, and of game time."""
    pong, watch = Pong(), Stopwatch()
    decide = agent.step
    pong.step = watch.on("emulator", pong.step)  # type: ignore[method-assign]
    agent.step = watch.on("decide", decide)  # type: ignore[method-assign]
    started = time.perf_counter()
    with recorded(
        path,
        agent.network.device,
        parameters=held_parameters(agent.network),
        step_duration=STEP_DURATION,
        attributes={},
    ) as recorder:
        keep, game = watch.on("record", recorder.record), Game(pong, agent, seed)
        for frame in game.frames():
            keep(frame.z, frame.h)
        record = game.record()
        played = time.perf_counter()
    finished = time.perf_counter()
    agent.step = decide  # type: ignore[method-assign]
    pong.close()
    brian = sum(agent.step_seconds)
    return {
        "decisions": record.decisions,
        "game_s": float(record.game_time),
        "total_s": finished - started,
        "emulator": watch.seconds["emulator"],
        "front-end and head": watch.seconds["decide"] - brian,
        "Brian2": brian,
        "recording": watch.seconds["record"],
        "ledger at the end": finished - played,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Where the time of a game goes.")
    parser.add_argument("--games", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    target = use_target("auto")
    agent = BrianAgent(load_checkpoint(DEFAULT_CHECKPOINT), Memristor.from_file(), STEP_DURATION)
    with tempfile.TemporaryDirectory() as folder:
        games = [
            play(agent, options.seed + max(k - 1, 0), Path(folder) / f"{k}.nc")
            for k in range(options.games + 1)
        ][1:]
    total = {name: sum(game[name] for game in games) for name in games[0]}
    print(
        f"target {target}, {options.games} games: {total['game_s'] / total['total_s']:.1f} x real "
        f"time; ms per decision and share"
    )
    for name in ("emulator", "front-end and head", "Brian2", "recording", "ledger at the end"):
        milliseconds = 1e3 * total[name] / total["decisions"]
        print(f"{name:>20}  {milliseconds:7.3f}  {total[name] / total['total_s']:6.1%}")
    if options.json is not None:
        options.json.write_text(json.dumps({"target": target, "games": games}, indent=1))


if __name__ == "__main__":
    main()
