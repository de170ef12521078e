"""The cache of entries in few large objects, which may be thrown away."""
