"""Learning to learn, small: tie digits to letters within one sequence, on memristors.

    python examples/associative_retrieval.py --pairs 8 --seed 0 --out runs/retrieval

trains two networks on `c9k8j3??k` (answer: 8), one with the device's range of Lambda and
one with Lambda = 0, whose short-term weights last one step; answers test sequences with
both on Brian2 networks, compares every answer with the torch twins', and counts the joules
of an answer. Networks that the folder holds already, trained by the same options, are used
as they are: `--out examples/retrieval` runs the trained ones that come with this file.
Ctrl-C ends a training and goes on with the best so far.

Needs `pip install -e '.[analysis]'`. Task: Ba et al. (2016), Rodriguez et al. (2022).
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["retrieval", *sys.argv[1:]]))
