"""The description of the API that programs read."""
