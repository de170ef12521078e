"""Many appends from one file."""
