"""Many titles in one file: written, verified and imported."""

__all__: list[str] = []
