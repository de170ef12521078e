"""The calls of the API, one module a group."""

__all__: list[str] = []
