"""`python -m mstpn`: the same as the command `mstpn`."""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
