"""Tests of ``ledger.service``: the API and the pages."""
