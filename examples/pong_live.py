"""Watch an agent play Pong on memristors: game, synapses, joules, with a hand on the voltage.

    python examples/pong_live.py
    python examples/pong_live.py --record game.html --seconds 30

`mstpn watch` is the same; its options: --help.
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["watch", *sys.argv[1:]]))
