"""Could an agent's network be built as an array of memristors: each answer a number and a limit.

    python examples/buildable.py --out buildable

`mstpn buildable` is the same; its options: --help.
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["buildable", *sys.argv[1:]]))
