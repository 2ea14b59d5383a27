"""Pong without one of the agent's parts: what each of them brings.

    python examples/ablation.py --games 10 --processes 2 --out ablation.csv

Every game is played on the Brian2 network with one part taken away, shuffled or put back to
its start. Each finished game is a row of the table at once; the same command again plays only
what is missing.
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["ablation", *sys.argv[1:]]))
