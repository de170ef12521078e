"""One title in a store: its history, and every way to move its head."""
