"""What the programs do once their options are read; `mstpn.commands` reads them, and loads this."""

from brian2 import prefs

# else Brian2 ends the run that goes on, and the program works on with what there is of it
prefs.core.stop_on_keyboard_interrupt = False
