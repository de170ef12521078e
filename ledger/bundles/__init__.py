"""Many titles in one file: exported, verified and imported."""

__all__: list[str] = []
