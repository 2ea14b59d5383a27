"""The package's programs, `mstpn NAME`: one module reads the options of each, `work` does it."""
