"""Every reader of foreign bytes, fed with what nobody would write.

Only a ``LedgerError`` may come out, and what is accepted is written as it was read. ``pytest`` runs
a bounded part of it; ``python -m tests.fuzz --seconds 600`` goes on for as long as it is asked to,
led by coverage where atheris is installed. What went wrong once is kept below ``cases``.
"""
