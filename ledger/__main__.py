"""``python -m ledger``: the same as the command ``ledger``."""

from cli.app import main

if __name__ == "__main__":
    main()
