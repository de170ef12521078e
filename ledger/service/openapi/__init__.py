"""The description of the API that programs read."""

__all__: list[str] = []
