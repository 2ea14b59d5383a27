"""The same work on GPUs: baselines, ratios, and where memristors and GPUs break even."""
