"""Many strange command lines for every program.

    PYTHONPATH=tests python tests/benchmarks/fuzz_commands.py --cases 20000 --json fuzz.json

Each is read as the program reads it, in an empty folder: it must become options of finite numbers,
or end in one line on stderr and status 2, and leave the folder as it was.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1]))
from command_lines import readers, tried

from mstpn.synapses.support.files import write_json


def main() -> int:
    """Try, count, print what went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000, help="of all programs together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    programs, rows, wrong = readers(), [], 0
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
            rows.append({"program": name, "cases": each, "wrong": len(found)})
    print(f"{each * len(programs)} command lines of {len(programs)} programs, {wrong} read wrongly")
    if options.json:
        script = "PYTHONPATH=tests python tests/benchmarks/fuzz_commands.py"
        command = f"{script} --cases {options.cases}"
        write_json(options.json, {"command": command, "seed": options.seed, "programs": rows})
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
