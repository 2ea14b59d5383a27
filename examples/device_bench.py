"""A memristor on the bench: the measurements of Figs. 2 and 3, simulated in Brian2.

    python examples/device_bench.py --out bench

Draws Figs. 2a and 2c to 3e of Weilenmann et al., Nature Communications 15 (2024), from
simulated devices under the protocol of each, and writes them with one page. A device file of
yours replaces the paper's with --device FILE.
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["bench", *sys.argv[1:]]))
