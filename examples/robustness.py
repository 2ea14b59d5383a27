"""Pong on devices that are not ideal: score and energy against each deviation.

    python examples/robustness.py --games 4 --out robustness.csv
    python examples/robustness.py --levels delta_f_std=0.1,1 --levels slow_fraction=0.5

Needs `pip install 'mstpn[analysis]'`. Every game is played on the Brian2 network, on devices
drawn from the game's seed, with one deviation at a time. Each finished game is a row of
the table at once; the same command again plays only what is missing. None of the levels is
in Weilenmann et al. (2024): all are assumed, chosen from harmless to ruinous.
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["robustness", *sys.argv[1:]]))
