"""A training killed at random instants, again and again: does it go on every time?

    python tests/benchmarks/killed_training.py --kills 200 --json killed.json

A small training saves after every update. Each time it is killed by SIGKILL after a random time,
and what then lies in its folder is read as a user would resume it. Lost are at most the steps
since the last save, and no file is left half-written. One process imports everything and forks.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file
from tqdm import tqdm

import mstpn.bridge.training.train  # noqa: F401 - once, before all that fork
from mstpn.commands import train
from mstpn.network.twin.checkpoint import load_checkpoint
from mstpn.synapses.support.files import write_json

SMALL = "--n-envs 2 --rollout-length 8 --n-hidden 4 --evaluation-steps 0 --save-minutes 0.0001"
TOTAL_STEPS = 10**7


def start(folder: Path) -> int:
    """Train in a process of its own, from where the last one stopped."""
    child = os.fork()
    if child:
        return child
    words = [*SMALL.split(), "--out", str(folder), "--total-steps", str(TOTAL_STEPS)]
    if (folder / "state.safetensors").exists():
        words.append("--resume")
    os.dup2(os.open(folder / "errors.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    status = 1
    try:
        status = train.main(words)
    finally:
        os._exit(status)


def steps(folder: Path) -> int:
    """Those that a resumed training begins with."""
    path = folder / "state.safetensors"
    if not path.exists():
        return 0
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return int(json.loads(header["__metadata__"]["trainer"])["step"])


def one(folder: Path, wait: float) -> dict[str, Any]:
    """Start, wait, kill, look."""
    before, child = steps(folder), start(folder)
    time.sleep(wait)
    ended, status = os.waitpid(child, os.WNOHANG)
    if ended:
        said = (folder / "errors.txt").read_text().strip()
        return {"wait_s": wait, "ended_by_itself": status, "error": said}
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    after = steps(folder)
    last = folder / "last.safetensors"
    whole = load_checkpoint(last).n_features if last.exists() else None
    load_file(folder / "state.safetensors") if after else None
    log = folder / "log.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    written = json.loads(lines[-1])["step"] if lines else 0
    return {
        "wait_s": wait,
        "steps_before": before,
        "steps_after": after,
        "steps_lost": max(written - after, 0),
        "checkpoint_features": whole,
    }


def seconds_to_a_save() -> float:
    """Time that a training takes, in another folder, until it has saved for the first time."""
    with tempfile.TemporaryDirectory() as name:
        started, child = time.monotonic(), start(Path(name))
        while not steps(Path(name)):
            time.sleep(0.1)
            if os.waitpid(child, os.WNOHANG)[0]:
                raise SystemExit((Path(name) / "errors.txt").read_text())
        seconds = time.monotonic() - started
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return seconds


def main() -> int:
    """Kill, resume, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument(
        "--longest",
        type=float,
        help="seconds until a kill, twice those from a start to its first save if absent",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rng, rows = random.Random(options.seed), []
    seconds_to_a_save()  # compiles
    longest = options.longest or 2 * seconds_to_a_save()
    with tempfile.TemporaryDirectory() as name:
        for _ in tqdm(range(options.kills), disable=None):
            rows.append(one(Path(name), rng.uniform(0, longest)))
        left = sorted(p.name for p in Path(name).iterdir())
    failed = [r for r in rows if "error" in r or r["steps_after"] < r["steps_before"]]
    content = {
        "command": f"python tests/benchmarks/killed_training.py --kills {options.kills}",
        "longest_s": longest,
        "kills": options.kills,
        "failed": failed,
        "advanced": sum(r.get("steps_after", 0) > r.get("steps_before", 0) for r in rows),
        "steps": max(r.get("steps_after", 0) for r in rows),
        "most_steps_lost": max(r.get("steps_lost", 0) for r in rows),
        "files": left,
    }
    print(json.dumps(content, indent=1))
    if options.json:
        write_json(options.json, content)
    return 1 if failed or not content["advanced"] else 0


if __name__ == "__main__":
    sys.exit(main())
