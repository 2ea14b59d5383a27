"""Figures and films of games, agents and trainings."""
