"""Joules of recorded games, by term, synapse and frame, and how sure they are."""
