"""Play Atari Pong with a Brian2 network of 169,984 SrTiO3 memristors, and count joules.

    python examples/pong_brian.py --games 3 --check-twin --json games.json

The conv front-end runs in torch; the m-STPN layer is a Brian2 network whose synapses
follow Weilenmann et al., Nature Communications 15 (2024). Every constant of the device is
in a file of yours if you say --device FILE.
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["pong", *sys.argv[1:]]))
