"""What the programs do once their options are read; `mstpn.commands` reads them, and loads this."""
