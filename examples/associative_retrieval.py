"""Learning to learn, small: tie digits to letters within one sequence, on memristors.

    python examples/associative_retrieval.py --pairs 8 --seed 0 --out runs/retrieval

`mstpn retrieval` is the same; its options: --help.
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["retrieval", *sys.argv[1:]]))
