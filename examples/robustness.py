"""Pong on devices that are not ideal: score and energy against each deviation.

    python examples/robustness.py --games 4 --out robustness.csv
    python examples/robustness.py --levels delta_f_std=0.1,1 --levels slow_fraction=0.5

`mstpn robustness` is the same; its options: --help.
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["robustness", *sys.argv[1:]]))
