"""Measurements: plain scripts, run by hand; no timed tests. See docs/benchmarks.md."""
