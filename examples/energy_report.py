"""Where the joules of a game go, and how they compare with GPUs: figures and one page.

    python examples/energy_report.py --out report
    python examples/energy_report.py --paper-check --json check.json

`mstpn report` is the same; its options: --help.
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["report", *sys.argv[1:]]))
