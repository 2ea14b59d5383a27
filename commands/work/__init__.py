"""What the programs do once their options are read; `mstpn.commands` reads them, and loads this."""

from brian2 import BrianLogger, prefs

# else Brian2 ends the run that goes on, and the program works on with what there is of it
prefs.core.stop_on_keyboard_interrupt = False
# a program that is stopped while it builds a network has objects that no network holds
BrianLogger.suppress_name("unused_brian_object")
