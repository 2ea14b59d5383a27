"""Many strange command lines for every program.

    PYTHONPATH=tests python tests/benchmarks/fuzz_commands.py --cases 20000 --json fuzz.json

Each is read as the program reads it, in an empty folder: it must become options of finite numbers,
or end in one line on stderr and status 2, and leave the folder as it was. With `--run N`, so many
of those that each program accepts are run, too, and interrupted after `--patience` seconds: they
must end with status 0, or with 2 or 130 and one line, without a traceback, and not hang.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1]))
from command_lines import Reader, accepted, readers, tried

from mstpn.synapses.support.files import write_json

_LONGEST_END = 120.0
"""Seconds from Ctrl-C to the end: compilers are waited for, and what is kept is written."""


def run(name: str, words: list[str], patience: float) -> str:
    """Run a command line in an empty folder; what is wrong with how it ends, "" if nothing is."""
    with tempfile.TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder, "deep", "enough", "for", "words", "that", "climb")
        folder.mkdir(parents=True)
        program = subprocess.Popen(
            [sys.executable, "-m", "mstpn", name, *words],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            _, errors = program.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            program.send_signal(signal.SIGINT)
            try:
                _, errors = program.communicate(timeout=_LONGEST_END)
            except subprocess.TimeoutExpired:
                os.killpg(program.pid, signal.SIGKILL)  # its workers hold the pipes, too
                program.communicate()
                return "hangs after Ctrl-C"
    if "Traceback" in errors:
        return f"traceback: {errors.strip().splitlines()[-1]}"
    if program.returncode not in (0, 1, 2, 130, -signal.SIGINT):  # the last where it was ending
        return f"status {program.returncode}: {errors[-200:]}"
    return ""


def run_accepted(name: str, reader: Reader, options: argparse.Namespace) -> list[str]:
    """Run some of the command lines that a program accepts; return what went wrong."""
    wrong = []
    for words in accepted(name, reader, options.run, options.seed):
        if what := run(name, words, options.patience):
            wrong.append(what)
            print(f"{name}: run: {what[:200]}: {words!r}"[:400])
    return wrong


def main() -> int:
    """Try, count, print what went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000, help="of all programs together")
    parser.add_argument("--run", type=int, default=0, metavar="N", help="of each, those accepted")
    parser.add_argument("--patience", type=float, default=15.0, help="seconds until Ctrl-C")
    parser.add_argument("--only", choices=list(readers()), help="this program alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    programs, rows, wrong = readers(), [], 0
    if options.only:
        programs = {options.only: programs[options.only]}
    each = -(-options.cases // len(programs))
    with (
        tempfile.TemporaryDirectory() as folder,
        tqdm(total=each * len(programs), disable=None) as bar,
    ):
        for name, reader in programs.items():
            found = []
            for words, what in tried(name, reader, each, options.seed, Path(folder)):
                bar.update()
                if what:
                    found.append(what)
                    print(f"{name}: {what[:200]}: {words!r}"[:400])
            wrong += len(found)
            ended_badly = run_accepted(name, reader, options)
            wrong += len(ended_badly)
            rows.append(
                {
                    **{"program": name, "cases": each, "wrong": len(found)},
                    **{"run": options.run, "ended_badly": len(ended_badly)},
                }
            )
    print(f"{each * len(programs)} command lines of {len(programs)} programs, {wrong} read wrongly")
    if options.json:
        script = "PYTHONPATH=tests python tests/benchmarks/fuzz_commands.py"
        command = f"{script} --cases {options.cases} --run {options.run}"
        write_json(options.json, {"command": command, "seed": options.seed, "programs": rows})
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
