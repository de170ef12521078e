"""The transparency log in a store, written and read."""

__all__: list[str] = []
