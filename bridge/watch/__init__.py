"""Watching an agent play on the Brian2 network, live or recorded, with a hand on the device."""
