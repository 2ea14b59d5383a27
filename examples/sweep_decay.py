"""Train agents over ranges of Lambda and seeds side by side; draw the paper's figure 4b.

    python examples/sweep_decay.py --ranges 0:0 0.08:0.92 --seeds 2 --total-steps 2000000

`mstpn sweep-decay` is the same; its options: --help.
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["sweep-decay", *sys.argv[1:]]))
