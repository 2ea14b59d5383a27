"""Energies, baselines and pictures of recorded games."""
