"""What a task needs of its devices: tau, spread, resolution of the pulses, endurance.

    python examples/require.py --score 15 --out needs

`mstpn require` is the same; its options: --help.
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["require", *sys.argv[1:]]))
