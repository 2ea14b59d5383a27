"""Letters and digits tied by one coincidence of spikes, and recalled: how long is up to the bias.

python examples/spiking_association.py --out association
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["spiking-association", *sys.argv[1:]]))
