"""Measurements: plain scripts, run by hand; no timed tests."""
