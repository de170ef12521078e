"""A session by a client that openapi-python-client made: URL in, facts out."""

import json
import sys

from title_ledger_client import Client
from title_ledger_client.api.default import (
    append,
    append_any,
    blame,
    diff,
    erase,
    get_bundle,
    get_registration,
    get_title,
    list_entries,
    list_titles,
    register,
    verify,
)
from title_ledger_client.models import (
    Diff,
    Document,
    DocumentOfTitle,
    Entries,
    Erasure,
    Fields,
    Order,
    Problem,
    Registration,
    Report,
    Title,
    Titles,
    ToRegister,
    ToRegisterPartsItem,
)
from title_ledger_client.types import File

TITLE = "TN1234567"

with Client(base_url=sys.argv[1]) as client:
    document = Document(title_number=TITLE)
    document["address"] = "1 low street"
    made = append_any.sync_detailed(client=client, body=document)
    assert isinstance(made.parsed, Title)
    first = made.headers["ETag"]

    new = DocumentOfTitle()
    new["address"] = "2 low street"
    changed = [
        append.sync_detailed(
            TITLE,
            client=client,
            body=new,
            if_match=first,
            idempotency_key="APP-1",
            ledger_message="UTF-8''T%C5%B7%20Newydd",
        )
        for _ in range(2)
    ]
    refused = append.sync(TITLE, client=client, body=DocumentOfTitle(), if_match=first)
    assert isinstance(refused, Problem)

    read = get_title.sync_detailed(TITLE, client=client)
    assert isinstance(read.parsed, Title)
    same = get_title.sync_detailed(TITLE, client=client, if_none_match=read.headers["ETag"])
    old = get_title.sync(TITLE, client=client, version=1)
    assert isinstance(old, Title)
    missing = get_title.sync("TN404", client=client)
    assert isinstance(missing, Problem)

    parts = []
    for name in ("P1", "P2"):
        part = DocumentOfTitle()
        part["area"] = 50
        parts.append(ToRegisterPartsItem(title_number=name, document=part, parent=None))
    split = register.sync(client=client, body=ToRegister(reference="APP 7/26", parts=parts))
    assert isinstance(split, Registration)
    found = get_registration.sync("APP 7/26", client=client)
    assert isinstance(found, Registration)
    erased = erase.sync(
        TITLE, client=client, body=Order(versions=[1], reference="ORDER-1", message="by order")
    )
    assert isinstance(erased, Erasure)

    titles = list_titles.sync(client=client, limit=2)
    assert isinstance(titles, Titles)
    entries = list_entries.sync(TITLE, client=client)
    assert isinstance(entries, Entries)
    differing = diff.sync(TITLE, client=client, from_="v2", to="v3")
    assert isinstance(differing, Diff)
    fields = blame.sync(TITLE, client=client, path="/address")
    assert isinstance(fields, Fields)
    report = verify.sync(TITLE, client=client)
    assert isinstance(report, Report)
    bundle = get_bundle.sync(TITLE, client=client)
    assert isinstance(bundle, File)

    facts = {
        "statuses": [made.status_code, *(each.status_code for each in changed), same.status_code],
        "refused": [refused.slug, refused.status, refused.version, refused.digest],
        "address": read.parsed["address"],
        "sha256": read.parsed.sha256,
        "old": old["address"],
        "missing": missing.slug,
        "parts": [[each.title_number, each.part] for each in split.entries],
        "complete": found.complete,
        "erased": erased.erased,
        "titles": [url.removeprefix(sys.argv[1]) for url in titles.titles],
        "entries": [
            [each.version, each.message, bool(each.erased), each.kind] for each in entries.entries
        ],
        "changes": len(differing.changes or []),
        "blame": [[each.path, each.value, each.version] for each in fields.fields],
        "outcome": report.outcome,
        "bundle": len(bundle.payload.read()),
    }
    print(json.dumps(facts))
