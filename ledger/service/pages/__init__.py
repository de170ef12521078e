"""The pages that people read."""

__all__: list[str] = []
