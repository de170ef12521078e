"""Show text, JSON and progress on a terminal."""
