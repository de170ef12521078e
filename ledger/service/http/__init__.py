"""HTTP: what a request says, and what an answer says."""

__all__: list[str] = []
