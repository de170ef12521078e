"""The S3 store."""

__all__: list[str] = []
