"""The tests mirror ``ledger`` and ``cli``, folder by folder."""
