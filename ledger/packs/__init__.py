"""The cache of entries in few large objects, which may be thrown away."""

__all__: list[str] = []
