"""Training of agents by playing Pong."""
