"""From Atari Pong to the Brian2 network and back, one step per frame."""
