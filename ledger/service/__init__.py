"""The ledger over HTTP: a thin context over ``Ledger``, with no rule of its own.

::

    import uvicorn
    from ledger.service import Settings, create_app

    app = create_app(ledger, Settings(public_url="https://titles.example.org"))
    uvicorn.run(app)

Needs the extra: ``pip install 'title-ledger[serve]'``. Nothing else of the library imports it.
"""

from ledger.service.app import create_app
from ledger.service.sealer import Sealer
from ledger.service.settings import Settings
from ledger.service.tokens import Token, basic_login, parse_tokens

__all__ = ["Sealer", "Settings", "Token", "basic_login", "create_app", "parse_tokens"]
