"""Who may call ``ledger serve``, and what it logs."""
