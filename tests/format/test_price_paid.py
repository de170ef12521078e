"""Real sales as a workload: a property is a title, each of its sales a version.

``pytest -s`` prints the time and the rate.
"""

from __future__ import annotations

import csv
import hashlib
from calendar import month_name
from datetime import UTC, datetime
from time import perf_counter
from typing import NamedTuple

from ledger.testing import FixedClock, memory_ledger
from tests import corpora

COLUMNS = [
    *("id", "price", "date", "postcode", "type", "new", "tenure", "number", "flat", "street"),
    *("locality", "town", "district", "county", "category", "status"),
]


class Sale(NamedTuple):
    """One row; a sale that is corrected later comes again, in a later month."""

    date: str
    month: int
    reference: str
    document: dict[str, object]


def sales() -> dict[str, list[Sale]]:
    """The sales of every property, oldest first, by a title number made of where it is."""
    found: dict[str, list[Sale]] = {}
    for path in corpora.files("price-paid/*_2025.csv"):
        month = list(month_name).index(path.stem.removesuffix("_2025"))
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.reader(file):
                sale = dict(zip(COLUMNS, row, strict=True))
                where = [sale[name] for name in ("postcode", "number", "flat", "street")]
                digest = hashlib.sha256("\n".join(where).encode()).hexdigest()
                found.setdefault(f"IW{digest[:12].upper()}", []).append(
                    Sale(
                        sale["date"][:10],
                        month,
                        f"{sale['id']} {sale['status']} 2025-{month:02}",
                        sale | {"price": int(sale["price"])},
                    )
                )
    for rows in found.values():
        rows.sort(key=lambda sale: sale[:3])
    return found


@corpora.needs("price-paid/*_2025.csv")
def test_every_sale_is_registered_and_verified():
    properties = sales()
    count = sum(map(len, properties.values()))
    assert count == 2499
    clock = FixedClock()
    ledger = memory_ledger(clock=clock)

    start = perf_counter()
    heads = {}
    for title_number, rows in properties.items():
        for sale in rows:
            clock.forward(seconds=1)
            entry = ledger.append(
                title_number,
                sale.document,
                effective_at=sale.date,
                reference=sale.reference,
            )
        heads[title_number] = entry
    appended = perf_counter()
    report = ledger.verify_all()
    verified = perf_counter()
    print(
        f"\n{count} sales of {len(properties)} properties:"
        f" appended in {appended - start:.2f} s ({count / (appended - start):.0f}/s),"
        f" verified in {verified - appended:.2f} s ({count / (verified - appended):.0f}/s)"
    )
    assert report
    assert report.findings == ()
    assert list(ledger.titles()) == sorted(properties)
    assert report.titles == len(properties)
    assert all(ledger.verify(title, expect=head.address) for title, head in heads.items())

    longest = max(properties, key=lambda title: len(properties[title]))
    rows = properties[longest]
    assert [entry.document for entry in ledger.log(longest)] == [r.document for r in rows[::-1]]
    for row in rows:
        then = datetime.fromisoformat(row.date).replace(tzinfo=UTC)
        assert ledger.at(longest, effective=then).effective_at == row.date


@corpora.needs("price-paid/*_2025.csv")
def test_every_row_sent_again_is_the_entry_that_is_there():
    """How a batch is restarted."""
    some = dict(list(sales().items())[:100])
    ledger = memory_ledger()

    def send() -> list[str]:
        return [
            ledger.append(title_number, sale.document, reference=sale.reference).address
            for title_number, rows in some.items()
            for sale in rows
        ]

    first = send()
    assert send() == first
    assert ledger.verify_all().entries == len(set(first)) == len(first)
