"""The shell face of the ledger: it reads the environment and the terminal, and decides nothing."""
