"""Many titles in one file: written, verified and imported."""
