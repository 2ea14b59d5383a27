"""Pong without one of the agent's parts: what each of them brings.

    python examples/ablation.py --games 10 --processes 2 --out ablation.csv

`mstpn ablation` is the same; its options: --help.
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["ablation", *sys.argv[1:]]))
