"""Sweep one constant of the device over a recorded game: joules, and what becomes of h.

    python examples/pong_brian.py --ledger game.nc
    python examples/sweep_device.py --load game.nc --constant bias_power --values 3 4.3 6
    python examples/sweep_device.py --load game.nc --constant decay_half_voltage --range 0.28:0.32:9

`mstpn sweep-device` is the same; its options: --help.
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["sweep-device", *sys.argv[1:]]))
