"""``python -m ledger``: the same as the command ``ledger``."""

from cli.app import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
