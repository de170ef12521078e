"""The log in a store: written by sealing, and read."""
