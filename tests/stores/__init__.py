"""Tests of ``ledger.stores``: one contract, and what is special about each store."""
