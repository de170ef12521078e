"""What only `ledger serve` needs."""
