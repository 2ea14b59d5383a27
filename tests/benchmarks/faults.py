"""What goes wrong on real machines, tried one by one on whole games.

    python tests/benchmarks/faults.py --json faults.json

A small agent plays (its code is the shipped agent's); every fault is one row: what was done,
what must follow, whether it did. Needs Linux and a C++ compiler. As root, full disks are
small tmpfs mounts; otherwise the size of files is limited.
"""

import argparse
import contextlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import xarray as xr
from tqdm import tqdm

from mstpn.network.twin.agent import MSTPN
from mstpn.network.twin.checkpoint import save_checkpoint
from mstpn.network.twin.layer import TwinConfig
from mstpn.synapses.support.files import atomic_write

EXAMPLE = Path(__file__).parents[2] / "examples/pong_brian.py"
TIMING = ("wall_time_s", "step_ms_median")
Outcome = tuple[bool, str]


class Bench:
    """A folder with an agent, a compiler's cache and one undisturbed game."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.rng = folder, random.Random(seed)
        torch.manual_seed(seed)
        net = MSTPN(TwinConfig(4, 6, "none", 0.08, 0.92))
        net.layer.gamma.data *= 100
        self.agent = folder / "agent.safetensors"
        save_checkpoint(net, self.agent, {})
        self.home = folder / "home"
        self.home.mkdir()
        self.whole = self.play("whole.nc", "whole.json")
        self.game = essence(folder / "whole.json")

    def command(self, *options: str | Path) -> list[str]:
        """One game of the small agent."""
        return [sys.executable, *map(str, (EXAMPLE, "--checkpoint", self.agent, *options))]

    def outputs(self, ledger: str, result: str) -> tuple[str | Path, ...]:
        """Options of a game that is recorded."""
        return "--ledger", self.folder / ledger, "--json", self.folder / result

    def play(
        self, ledger: str, result: str, *options: str | Path, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """A whole recorded game."""
        return self.run(*self.outputs(ledger, result), *options, limit=None, **environment)

    def run(
        self, *options: str | Path, limit: int | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Any game; `limit` is that of a file's size in bytes."""

        def limited() -> None:
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        return subprocess.run(
            self.command(*options),
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=limited,
        )

    def environment(self, **changes: str) -> dict[str, str]:
        """Of every game: a cache of its own."""
        own = {"HOME": str(self.home), "MPLCONFIGDIR": str(self.folder)}
        return os.environ | own | changes

    def same(self, ledger: str, result: str) -> bool:
        """Whether a game and its ledger are the undisturbed one's."""
        with (
            xr.open_dataset(self.folder / "whole.nc") as whole,
            xr.open_dataset(self.folder / ledger) as found,
        ):
            return found.identical(whole) and essence(self.folder / result) == self.game


def essence(path: Path) -> list[dict[str, Any]]:
    """Games without their timing."""
    games = json.loads(path.read_text())["games"]
    return [{k: v for k, v in game.items() if k not in TIMING} for game in games]


def ours(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Lines on stderr but for progress bars and what a compiler itself says."""
    return [line for line in done.stderr.splitlines() if line and "decision" not in line]


def killed_while_playing(bench: Bench) -> Outcome:
    """Kill -9 at random moments of play and recording, go on each time."""
    state, kills = bench.folder / "state.npz", 0
    options = ("--state", state, "--save-every", "50", *bench.outputs("k.nc", "k.json"))
    resume: tuple[str, ...] = ()
    while kills < 5:
        process = subprocess.Popen(
            bench.command(*options, *resume),
            env=bench.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        before = state.stat().st_mtime_ns if state.exists() else 0
        while process.poll() is None:  # until it has saved something this time
            if state.exists() and state.stat().st_mtime_ns > before:
                break
            time.sleep(0.005)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(bench.rng.uniform(0, 0.6))
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills, resume = kills + 1, ("--resume",)
    if state.exists():  # else the last kill came when all was done
        done = bench.run(*options, "--resume")
        if done.returncode != 0:
            return False, done.stderr[-200:]
    left = [p.name for p in bench.folder.iterdir() if p.name.startswith(("state", ".k", "k.nc."))]
    same = bench.same("k.nc", "k.json")
    return same and kills > 0 and not left, f"{kills} kills, game and ledger equal: {same}"


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[int | None]:
    """A disk of this size there if root may mount one, else the limit of a file's size."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        yield megabytes * 2**19
        return
    try:
        yield None
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def full_disk(bench: Bench) -> Outcome:
    """Ledger, state and result on a disk that is too small; then room, and go on."""
    folder = bench.folder / "disk"
    with small_disk(folder, 1) as limit:
        done = bench.run(*("--state", folder / "s.npz", "--ledger", folder / "g.nc"), limit=limit)
        said, halves = ours(done), [p.name for p in folder.iterdir() if "partial" in p.name]
    one_line = done.returncode == 2 and len(said) == 1
    return one_line and not halves, f"status {done.returncode}: {' / '.join(said)[-160:]}"


def full_disk_for_the_ledger(bench: Bench) -> Outcome:
    """The ledger alone does not fit any more when the game is over."""
    folder = bench.folder / "disk_ledger"
    size = (bench.folder / "whole.nc").stat().st_size
    state = bench.folder / "full.npz"
    options = ("--state", state, "--ledger", folder / "g.nc", "--json", bench.folder / "f.json")
    with small_disk(folder, max(1, round(1.2 * size / 2**20))) as limit:
        done = bench.run(*options, limit=limit)
        said = ours(done)
        kept = state.exists() and (folder / "g.nc.parts").exists()
    good = done.returncode == 2 and len(said) == 1 and kept
    return good, f"status {done.returncode}, parts and state kept: {kept}: {said[-1:]}"


def unwritable_cache(bench: Bench) -> Outcome:
    """Brian2's cache of compiled code cannot be made: home is a file."""
    home = bench.folder / "no_home"
    home.write_text("")
    done = bench.play("u.nc", "u.json", HOME=str(home))
    said = ours(done)
    same = done.returncode == 0 and bench.same("u.nc", "u.json")
    return same and len(said) == 1, f"game equal: {same}: {said[-1:]}"


def together(n: int) -> Callable[[Bench], Outcome]:
    """So many processes started at once on an empty cache."""

    def attempt(bench: Bench) -> Outcome:
        home = bench.folder / f"home{n}"
        home.mkdir()
        names = [(f"t{n}_{k}.nc", f"t{n}_{k}.json") for k in range(n)]
        running = [
            subprocess.Popen(
                bench.command(*bench.outputs(*pair)),
                env=bench.environment(HOME=str(home)),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for pair in names
        ]
        status = [process.wait() for process in running]
        same = not any(status) and all(bench.same(*pair) for pair in names)
        return same, f"status {sorted(set(status))}, all games equal: {same}"

    attempt.__doc__ = f"{n} processes at once on a cold cache."
    return attempt


def no_compiler(bench: Bench) -> Outcome:
    """No compiler at all."""
    done = bench.run(HOME=str(bench.folder), PATH="", CC="/none/cc", CXX="/none/c++")
    said = ours(done)
    good = done.returncode == 0 and len(said) == 1 and "numpy target" in said[0]
    return good, f"status {done.returncode}: {said[-1:]}"


def failing_compiler(bench: Bench) -> Outcome:
    """A compiler that fails in the middle of the network's code, after its trial."""
    home, compiler = bench.folder / "home_failing", bench.folder / "compiler"
    home.mkdir()
    compiler.write_text(
        "#!/bin/sh\n"
        'case "$*" in *flag_test*) exec c++ "$@";; esac\n'
        f"echo x >> {home}/calls\n"
        f'[ "$(wc -l < {home}/calls)" -le 8 ] && exec c++ "$@"\n'
        "exit 1\n"
    )
    compiler.chmod(0o755)
    done = bench.run(HOME=str(home), CC=str(compiler), CXX=str(compiler))
    said = [line for line in ours(done) if "numpy target" in line]
    return done.returncode == 0 and len(said) == 1, f"status {done.returncode}: {said[-1:]}"


def damaged_cache(bench: Bench) -> Outcome:
    """Compiled modules in the cache that are cut to nothing, as after a power failure."""
    modules = sorted((bench.home / ".cython/brian_extensions").rglob("*.so"))
    kept = {path: path.read_bytes() for path in modules}
    for path in modules:
        path.write_bytes(b"")
    done = bench.run()
    for path, content in kept.items():
        path.write_bytes(content)
    said = ours(done)
    good = done.returncode == 0 and len(said) == 1 and bool(modules)
    return good, f"{len(modules)} modules: status {done.returncode}: {said[-1:]}"


FAULTS: tuple[Callable[[Bench], Outcome], ...] = (
    killed_while_playing,
    full_disk,
    full_disk_for_the_ledger,
    unwritable_cache,
    together(2),
    together(8),
    no_compiler,
    failing_compiler,
    damaged_cache,
)


def main() -> int:
    """Try every fault and print the table; the exit status is 1 if one was not survived."""
    parser = argparse.ArgumentParser(description="Faults of machines, tried on whole games.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", metavar="TEXT", help="rows that contain it")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.seed)
        if bench.whole.returncode:
            parser.error(f"the undisturbed game failed: {bench.whole.stderr[-300:]}")
        for fault in tqdm(FAULTS, disable=None):
            what = " ".join((fault.__doc__ or "").split())
            if options.only in what:
                survived, seen = fault(bench)
                rows.append({"fault": what, "survived": survived, "seen": seen})
                tqdm.write(f"{'ok  ' if survived else 'FAIL'}  {what}\n      {seen}")
    print(f"{sum(row['survived'] for row in rows)} of {len(rows)} survived")
    if options.json is not None:
        atomic_write(options.json, json.dumps(rows, indent=1).encode())
    return int(not all(row["survived"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
