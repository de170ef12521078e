"""HTTP: what a request says, and what an answer says."""
