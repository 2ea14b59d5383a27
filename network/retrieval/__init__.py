"""Associative retrieval: a small task that needs short-term memory."""
