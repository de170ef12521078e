"""Serve a ledger over HTTP. The service adds no rule of its own to those of ``Ledger``.

::

    import uvicorn
    from ledger.service import Settings, create_app

    app = create_app(ledger, Settings(public_url="https://titles.example.org"))
    uvicorn.run(app)

It needs the extra ``serve`` (in a clone: ``pip install '.[serve]'``). Nothing else in the library
imports it.
"""

from ledger.service.app import create_app
from ledger.service.indexer import Indexer
from ledger.service.reload import Access
from ledger.service.sealer import Sealer
from ledger.service.settings import Settings
from ledger.service.tokens import Token, basic_login, parse_tokens

__all__ = [
    "Access",
    "Indexer",
    "Sealer",
    "Settings",
    "Token",
    "basic_login",
    "create_app",
    "parse_tokens",
]
