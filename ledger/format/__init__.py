"""The format, pure: bytes in, an object or an error out."""
