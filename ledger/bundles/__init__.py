"""Many titles in one file: written, checked and imported."""

__all__: list[str] = []
