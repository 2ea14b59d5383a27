"""An agent's long-term weights written into an array of memristors by pulses.

    python examples/program_array.py --tolerance 0.02 --out array.safetensors
    python examples/program_array.py --tolerances 0.01,0.02,0.05,0.1,0.2 --games 10 --sticky 0.25

`mstpn program` is the same; its options: --help.
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["program", *sys.argv[1:]]))
