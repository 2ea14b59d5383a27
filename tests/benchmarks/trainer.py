"""The whole trainer: agent steps a second, where the time goes, and against another checkout.

python tests/benchmarks/trainer.py --updates 5 --against ../other-checkout \\
    --initial bridge/checkpoints/pong.safetensors

Options that it does not know are those of the training. Each trainer runs in a process of its
own; they take turns, an update each, so that ratios are of neighbours in time. Time is that of
the processor, of all threads, and with `--wall` that of the clock. `--beside` adds a trainer with
`--collect-beside`, by the clock; its turn ends when the rollout played beside has ended, too.
"""

import argparse
import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch.profiler import ProfilerActivity, profile, record_function

PARTS = {
    "environment": ("environment",),
    "front-end, playing": ("watch",),
    "front-end, forward": ("see", "FusedFrontEnd"),
    "front-end, backward": (
        *("FusedFrontEndBackward", "ConvolutionBackward0"),
        *("aten::threshold_backward",),
    ),
    "layer, playing": ("step",),
    "layer, forward": ("FusedRecursion",),
    "layer, backward": ("FusedRecursionBackward",),
    "optimiser": ("Optimizer.step#Adam.step",),
}
"""Ranges of the profile that make up each part; one that holds another is counted without it."""


def labelled(name: str, function: Any) -> Any:
    """`function`, shown under a name in the profile."""

    def call(*arguments: Any, **keywords: Any) -> Any:
        with record_function(name):
            return function(*arguments, **keywords)

    return call


def shares(trainer: Any) -> dict[str, float]:
    """Share of the time of one update in each part, by torch's profiler."""
    from mstpn.network.twin.agent import FrontEnd
    from mstpn.network.twin.fused import FusedStepper

    def see(front_end: Any, frames: torch.Tensor) -> torch.Tensor:
        with record_function("see" if torch.is_grad_enabled() else "watch"):
            return original(front_end, frames)

    original, player = FrontEnd.forward, getattr(trainer, "collector", trainer)
    with contextlib.ExitStack() as stack:
        for patch in (
            mock.patch.object(player, "_act", labelled("environment", player._act)),
            mock.patch.object(FrontEnd, "forward", see),
            mock.patch.object(FusedStepper, "step", labelled("step", FusedStepper.step)),
        ):
            stack.enter_context(patch)
        with contextlib.suppress(ImportError):
            from mstpn.network.twin.convolutions import Watcher

            watch = labelled("watch", Watcher.__call__)
            stack.enter_context(mock.patch.object(Watcher, "__call__", watch))
        profiled = stack.enter_context(profile(activities=[ProfilerActivity.CPU]))
        started = time.perf_counter()
        trainer._update(trainer._collect())
        total = 1e6 * (time.perf_counter() - started)
    spent = {event.key: event.cpu_time_total for event in profiled.key_averages()}
    spent["see"] = spent.get("see", 0.0) - spent.get("FusedFrontEnd", 0.0)
    found = {
        part: sum(spent.get(name, 0.0) for name in names) / total for part, names in PARTS.items()
    }
    return found | {"rest": 1 - sum(found.values())}


def rollouts_of(trainer: Any) -> tuple[Iterator[Any], Callable[[], bool]]:
    """Rollouts as the training gets them, and whether none is being played."""
    if not getattr(trainer.options, "collect_beside", False):
        return (trainer._collect() for _ in itertools.count()), lambda: True
    idle, collect = threading.Event(), trainer.collector.collect

    def played(step: int) -> Any:
        idle.clear()
        try:
            return collect(step)
        finally:
            idle.set()

    trainer.collector.collect = played
    beside = ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,))
    return trainer._played_beside(beside), idle.is_set


def serve(arguments: list[str]) -> None:
    """Do what each line of the standard input says, and answer in one line of JSON."""
    from mstpn.bridge.training.options import parse_options
    from mstpn.bridge.training.train import Trainer

    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(parse_options([*arguments, "--out", folder])[0])
        n_steps = trainer.options.n_envs * trainer.options.rollout_length
        rollouts, is_idle = rollouts_of(trainer)
        for line in sys.stdin:
            if line.strip() == "shares":
                print(json.dumps(shares(trainer)), flush=True)
                continue
            clocks = time.perf_counter(), time.process_time()
            terms = trainer._update(next(rollouts))
            trainer.step += n_steps
            while not is_idle():
                time.sleep(1e-3)
            spent = time.perf_counter() - clocks[0], time.process_time() - clocks[1]
            rates = {"wall": n_steps / spent[0], "processor": n_steps / spent[1]}
            print(json.dumps(rates | {"active": terms["active_fraction"]}), flush=True)


class Checkout:
    """A trainer on the code of a folder, in a process of its own."""

    def __init__(self, folder: Path, arguments: list[str]) -> None:
        path = os.pathsep.join([str(folder / ".typing"), os.environ.get("PYTHONPATH", "")])
        variables = os.environ | {"PYTHONPATH": path}
        if "NUMBA_CACHE_DIR" in variables:
            variables["NUMBA_CACHE_DIR"] = str(folder / ".numba")
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve", *arguments],
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, what: str) -> dict[str, float]:
        """Wait for the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(what, file=self._process.stdin, flush=True)
        answer: dict[str, float] = json.loads(self._process.stdout.readline())
        return answer

    def end(self) -> None:
        """Close its input, on which it ends."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def report(
    rounds: list[dict[str, dict[str, float]]], parts: dict[str, dict[str, float]], clock: str
) -> None:
    """Print rates, ratios of turns, and the table of parts."""
    print(f"{statistics.mean(r['this']['active'] for r in rounds):.0%} of the inputs active")
    for name in rounds[0]:
        rate = statistics.median(turn[name][clock] for turn in rounds)
        print(f"{name}: {rate:7.1f} agent steps/s of {clock} time, by the median")
    for one, other in (("this", "other"), ("beside", "this")):
        if {one, other} <= rounds[0].keys():
            ratios = sorted(turn[one][clock] / turn[other][clock] for turn in rounds)
            of_all = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"
            print(f"{one} / {other}: {of_all}")
    print(f"{'':>20}", *(f"{name:>6}" for name in parts))
    for part in PARTS | {"rest": ()}:
        print(f"{part:>20}", *(f"{of[part]:6.1%}" for of in parts.values()))


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description="Speed of the trainer, and of its parts.")
    parser.add_argument("--updates", type=int, default=5)
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="another checkout")
    parser.add_argument("--beside", action="store_true", help="with a second core, too")
    parser.add_argument("--wall", action="store_true", help="time by the clock")
    parser.add_argument("--json", type=Path, metavar="PATH")
    arguments, rest = parser.parse_known_args()
    here = Path(__file__).resolve().parents[2]
    trainers = {"this": Checkout(here, rest)}
    if arguments.against:
        trainers["other"] = Checkout(arguments.against.resolve(), rest)
    if arguments.beside:
        trainers["beside"] = Checkout(here, [*rest, "--collect-beside"])
    for trainer in trainers.values():
        trainer.ask("update")  # compiles
    rounds = [
        {name: trainer.ask("update") for name, trainer in trainers.items()}
        for _ in range(arguments.updates)
    ]
    parts = {name: trainers[name].ask("shares") for name in trainers if name != "beside"}
    for trainer in trainers.values():
        trainer.end()
    found: dict[str, Any] = {"parts": parts, "rounds": rounds}
    report(rounds, parts, "wall" if arguments.wall or arguments.beside else "processor")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
