"""Tests of what signs, with real devices where there are any."""
