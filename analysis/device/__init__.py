"""Measurements of devices: fits, the bench's extraction, reports and figures."""
