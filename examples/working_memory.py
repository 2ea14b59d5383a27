"""Items that spiking neurons keep in F alone: recall, capacity, lifetimes and joules.

python examples/working_memory.py --out working_memory
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["working-memory", *sys.argv[1:]]))
