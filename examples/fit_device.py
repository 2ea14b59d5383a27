"""A device file from your measurements, with confidence intervals.

    python examples/fit_device.py --pulses pulses.csv --decay decay.csv --power power.csv \
        --out my_device.toml --figure my_device.png
    python examples/pong_brian.py --device my_device.toml

`mstpn fit-device` is the same; its options: --help.
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["fit-device", *sys.argv[1:]]))
