"""Play Atari Pong with a Brian2 network of 169,984 SrTiO3 memristors, and count joules.

    python examples/pong_brian.py --games 3 --check-twin --json games.json

`mstpn pong` is the same; its options: --help.
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["pong", *sys.argv[1:]]))
