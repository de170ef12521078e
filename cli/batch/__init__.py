"""Append the lines of one file, of many titles."""
