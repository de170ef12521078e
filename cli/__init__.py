"""The command `ledger`: it reads the environment and the terminal, and decides nothing."""
