"""The log in a store: written by sealing, and read."""

__all__: list[str] = []
