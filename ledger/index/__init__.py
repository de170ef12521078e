"""The search index: verified entries in a SQLite file, which may be thrown away.

::

    from ledger.index import Index

    with Index(ledger, "titles.sqlite") as index:
        report = index.update()
        for found in index.find("Ada Lovelace", effective="2026-01-31"):
            print(found.title_number, found.version)
"""

from ledger.index.index import Index
from ledger.index.search import Coverage, Found, Listed

__all__ = ["Coverage", "Found", "Index", "Listed"]
