"""The format, pure: bytes in, an object or an error out."""

__all__: list[str] = []
