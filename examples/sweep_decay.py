"""Train agents over ranges of Lambda and seeds as Ray tasks; draw the paper's figure 4b.

    python examples/sweep_decay.py --ranges 0:0 0.08:0.92 --seeds 2 --total-steps 2000000

Needs `pip install 'mstpn[train,sweep]'`. Every agent is one task in a folder of its own;
the same command again goes on where the last one stopped, and with `--report-only` it writes
the table and the figure of what is there so far. On a cluster (`--address`) the
output folder must be on a disk that all machines share. Options that this program does not
know are those of `mstpn train`.

Weilenmann et al. (2024) compare five ranges with 16 agents each; of the ranges, 0 and
[0.08, 0.92] are published, the other three of the default are assumed.
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["sweep-decay", *sys.argv[1:]]))
