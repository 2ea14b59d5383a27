"""One game's energy as a page."""
