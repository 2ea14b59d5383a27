"""Where the joules of a game go, and how they compare with GPUs: figures and one page.

    python examples/energy_report.py --out report
    python examples/energy_report.py --paper-check --json check.json

Needs `pip install 'mstpn[analysis]'`. The first plays a game of Pong on the Brian2 network
(or loads a ledger that `pong_brian.py --ledger` wrote) and draws Figs. 4c-4i of Weilenmann et
al., Nature Communications 15 (2024), with the ratio against every GPU baseline. The second
repeats the paper's own arithmetic. All constants are in data files; a device file of yours
replaces the paper's with --device FILE.
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["report", *sys.argv[1:]]))
