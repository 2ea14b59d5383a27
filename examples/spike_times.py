"""Pong in spikes: score and energy against the bins of a frame.

    python examples/spike_times.py --games 10 --processes 2 --out spike_times.csv

`mstpn spike-times` is the same; its options: --help.
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["spike-times", *sys.argv[1:]]))
