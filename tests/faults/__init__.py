"""Breaking things on purpose: every store operation, every system call, processes, disks.

``pytest tests/faults`` runs a bounded part of it, ``pytest -m faults`` the rest, and
``python -m tests.faults`` all of it, with a table of what was broken and what came of it.
"""
