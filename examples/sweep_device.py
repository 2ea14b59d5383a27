"""Sweep one constant of the device over a recorded game: joules, and what becomes of h.

    python examples/pong_brian.py --ledger game.nc
    python examples/sweep_device.py --load game.nc --constant bias_power --values 3 4.3 6
    python examples/sweep_device.py --load game.nc --constant decay_half_voltage --range 0.28:0.32:9

The features of the game are replayed into the Brian2 network, which is compiled once as a C++
program and then runs with every value; the first row is the device file's own. Values are
in the unit of the device file.

What has been programmed is held fixed: W, Gamma and every synapse's bias voltage. So Lambda
moves with constants of the decay, while constants of the energies leave h alone. The replay is
open-loop: actions are compared, not played.
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["sweep-device", *sys.argv[1:]]))
