"""Could an agent's network be built as an array of memristors: what it carries, against limits."""
