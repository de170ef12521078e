"""Many titles judged: each by its own chain, and all of them against the log."""
