"""A memristor on the bench: the measurements of Figs. 2 and 3, simulated in Brian2.

    python examples/device_bench.py --out bench

`mstpn bench` is the same; its options: --help.
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["bench", *sys.argv[1:]]))
