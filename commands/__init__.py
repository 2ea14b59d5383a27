"""The package's programs: each is `mstpn NAME`, and a script in `examples/`."""
