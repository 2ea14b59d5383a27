"""The whole trainer: agent steps a second, where the time goes, and against another checkout.

python tests/benchmarks/trainer.py --updates 5 --against ../other-checkout \\
    --initial bridge/checkpoints/pong.safetensors

Options that it does not know are those of the training. Each checkout runs in a process of its
own; they take turns, an update each, so that ratios are of neighbours in time. Time is that of
the processor, of all threads, and with `--wall` that of the clock.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
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


def serve(arguments: list[str]) -> None:
    """Do what each line of the standard input says, and answer in one line of JSON."""
    from mstpn.bridge.training.options import parse_options
    from mstpn.bridge.training.train import Trainer

    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(parse_options([*arguments, "--out", folder])[0])
        n_steps = trainer.options.n_envs * trainer.options.rollout_length
        for line in sys.stdin:
            if line.strip() == "shares":
                print(json.dumps(shares(trainer)), flush=True)
                continue
            clocks = time.perf_counter(), time.process_time()
            terms = trainer._update(trainer._collect())
            trainer.step += n_steps
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


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description="Speed of the trainer, and of its parts.")
    parser.add_argument("--updates", type=int, default=5)
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="another checkout")
    parser.add_argument("--wall", action="store_true", help="time by the clock")
    parser.add_argument("--json", type=Path, metavar="PATH")
    arguments, rest = parser.parse_known_args()
    here = Path(__file__).resolve().parents[2]
    folders = {"this": here} | ({"other": arguments.against} if arguments.against else {})
    checkouts = {name: Checkout(folder.resolve(), rest) for name, folder in folders.items()}
    clock = "wall" if arguments.wall else "processor"
    for checkout in checkouts.values():
        checkout.ask("update")  # compiles
    rounds = [
        {name: checkout.ask("update") for name, checkout in checkouts.items()}
        for _ in range(arguments.updates)
    ]
    parts = {name: checkout.ask("shares") for name, checkout in checkouts.items()}
    found: dict[str, Any] = {"clock": clock, "parts": parts}
    for name, checkout in checkouts.items():
        checkout.end()
        rates = [answers[name][clock] for answers in rounds]
        found[name] = statistics.median(rates)
        print(f"{name}: {found[name]:7.1f} agent steps/s of {clock} time, by the median")
    print(f"{statistics.mean(r['this']['active'] for r in rounds):.0%} of the inputs active")
    if arguments.against:
        ratios = sorted(r["this"][clock] / r["other"][clock] for r in rounds)
        found["ratios"] = ratios
        print(f"this / other: {statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})")
    for part in next(iter(parts.values())):
        print(f"{part:>20}", *(f"{of[part]:6.1%}" for of in parts.values()))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
