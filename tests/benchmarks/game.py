"""What a whole game costs beside the emulator alone, with and without its ledger, and where.

    taskset -c 0 python tests/benchmarks/game.py --json game.json

In every round one game of the shipped agent is played without a ledger, and with one as `mstpn
pong --ledger` does; the emulator alone then plays the same actions. Times are CPU seconds of this
one process, so that other programs weigh by what they take of the caches alone; ratios are
within a round. The first round compiles and is not counted.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

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

now = time.process_time


class Watched:
    """Seconds spent in methods of some objects, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def watch(self, name: str, owner: Any, method: str) -> None:
        """Watch a method of an object from now on."""
        call: Callable[..., Any] = getattr(owner, method)
        self.seconds[name] = 0.0

        def watched(*args: Any) -> Any:
            started = now()
            result = call(*args)
            self.seconds[name] += now() - started
            return result

        setattr(owner, method, watched)


def emulator(pong: Pong, seed: int, actions: list[int]) -> float:
    """Seconds of the emulator alone."""
    started = now()
    pong.replay(seed, actions)
    return now() - started


def play(pong: Pong, agent: BrianAgent, seed: int) -> float:
    """Seconds of a game without a ledger."""
    started = now()
    game = Game(pong, agent, seed)
    for _ in game.frames():
        pass
    game.record()
    return now() - started


def play_recorded(pong: Pong, agent: BrianAgent, seed: int, path: Path) -> tuple[float, float]:
    """Seconds of a game with its ledger, and those of them after the last decision."""
    started = now()
    with recorded(
        path,
        agent.network.device,
        parameters=held_parameters(agent.network),
        step_duration=STEP_DURATION,
        attributes={},
    ) as recorder:
        game = Game(pong, agent, seed)
        for frame in game.frames():
            recorder.record(frame.z, frame.h)
        game.record()
        played = now()
    return now() - started, now() - played


def parts(agent: BrianAgent, seed: int) -> dict[str, float]:
    """Seconds of the parts of a game's decisions, each with the cost of being watched."""
    pong, watched = Pong(), Watched()
    game = Game(pong, agent, seed)
    watched.watch("emulator", pong, "step")
    watched.watch("network", agent.network, "step")
    watched.watch("agent", agent, "step")
    started = now()
    for _ in game.frames():
        pass
    del agent.step, agent.network.step  # the watched ones: those of the classes again
    seconds = watched.seconds
    seconds["front-end and head"] = seconds.pop("agent") - seconds["network"]
    seconds["counting"] = now() - started - sum(seconds.values())
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What a game costs beside the emulator.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    target = use_target("auto")
    agent = BrianAgent(load_checkpoint(DEFAULT_CHECKPOINT), Memristor.from_file(), STEP_DURATION)
    pong, found, shares = Pong(), [], []
    with tempfile.TemporaryDirectory() as folder:
        for k in range(options.rounds + 1):
            seed = options.seed + max(k - 1, 0)
            without = play(pong, agent, seed)
            actions = list(pong.actions)
            whole, end = play_recorded(pong, agent, seed, Path(folder, "game.nc"))
            alone = emulator(pong, seed, actions)
            found.append([1e3 * s / len(actions) for s in (alone, without, whole, end)])
            shares.append({n: 1e3 * s / len(actions) for n, s in parts(agent, seed).items()})
    rows = dict(
        zip(("emulator", "game", "with ledger", "its end"), np.array(found[1:]).T, strict=True)
    )
    print(f"target {target}, {options.rounds} games; CPU ms a decision: median, least; / emulator")
    for name, each in rows.items():
        ratio = each / rows["emulator"]
        print(
            f"{name:>20}  {np.median(each):.3f}  {each.min():.3f}"
            f"  {np.median(ratio):6.2f}  {ratio.min():.2f}"
        )
    print("parts of the game without ledger")
    for name in shares[0]:
        each = np.array([one[name] for one in shares[1:]])
        print(f"{name:>20}  {np.median(each):.3f}  {each.min():.3f}")
    if options.json is not None:
        content = {"target": target, "ms": {n: each.tolist() for n, each in rows.items()}}
        options.json.write_text(json.dumps(content | {"parts": shares[1:]}, indent=1))


if __name__ == "__main__":
    main()
