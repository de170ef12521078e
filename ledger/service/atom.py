"""The feed as Atom (RFC 4287), with archives (RFC 5005, section 4), so that no reader misses any.

An archive has a hundred leaves of the log, always the same: archive 2 has the leaves 200 to 299.
The feed itself has those of the last archive, and what came since. Leaves that are about no entry,
or disowned, are left out: they have no time.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5
from xml.etree.ElementTree import Element, SubElement, tostring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ledger.format.entry import Entry
    from ledger.sealing.feed import LoggedChange

ATOM_TYPE = "application/atom+xml"
ARCHIVED = 100
"""How many leaves an archive has. A reader of RFC 5005 relies on it: it never changes."""

BEFORE_ALL = "1970-01-01T00:00:00Z"
"""When a feed without an entry was updated: Atom asks for a time."""
NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def atom_feed(
    origin: str,
    changes: Iterable[LoggedChange],
    url: Callable[..., str],
    *,
    archive: int | None,
    before: int | None,
) -> bytes:
    """Write a document of the feed, the newest entry first.

    ``url`` makes the URL of a path and a query. ``archive`` is the number of this one, None: it is
    the feed itself; ``before`` that of the archive before it, if there is one.
    """
    feed = Element(
        "feed",
        {
            "xmlns": "http://www.w3.org/2005/Atom",
            "xmlns:fh": "http://purl.org/syndication/history/1.0",
        },
    )
    shown = [(each, each.entry) for each in changes if each.entry is not None][::-1]
    _add(feed, "id", _identify(origin))
    _add(feed, "title", f"Changes of {origin}")
    _add(feed, "updated", max((e.recorded_at for _, e in shown), default=BEFORE_ALL))
    _add(_add(feed, "author"), "name", origin)
    current = url("/changes.atom")
    if archive is None:
        _link(feed, "self", current, ATOM_TYPE)
    else:
        _add(feed, "fh:archive")
        _link(feed, "self", url("/changes.atom", archive=archive), ATOM_TYPE)
        _link(feed, "current", current, ATOM_TYPE)
    if before is not None:
        _link(feed, "prev-archive", url("/changes.atom", archive=before), ATOM_TYPE)
    for change, entry in shown:
        _add_entry(feed, change, entry, url)
    xml: bytes = tostring(feed, encoding="utf-8", xml_declaration=True)
    return xml


def _add_entry(feed: Element, change: LoggedChange, entry: Entry, url: Callable[..., str]) -> None:
    path, version = f"/titles/{entry.title_number}", entry.version
    item = _add(feed, "entry")
    _add(item, "id", _identify(entry.ledger, change.index))
    _add(item, "title", f"{entry.title_number} version {version}")
    _add(item, "updated", entry.recorded_at)
    _link(item, "alternate", url(path, version=version))
    _link(item, "related", url(f"{path}/receipt", version=version), "text/plain")
    SubElement(item, "category", term=entry.kind)
    _add(item, "summary", "; ".join(_facts(change, entry)))


def _facts(change: LoggedChange, entry: Entry) -> Iterable[str]:
    """Yield what there is to know of an entry, in words."""
    yield f"leaf {change.index}"
    yield entry.kind
    if entry.effective_at is not None:
        yield f"effective {entry.effective_at}"
    if entry.effective_until is not None:
        yield f"until {entry.effective_until}"
    if entry.reference:
        yield f"reference {entry.reference}"
    if entry.part != (1, 1):
        yield "part {} of {}".format(*entry.part)
    yield entry.status
    if entry.erases:
        yield f"erases {', '.join(f'version {each}' for each in entry.erases)}"
    if change.order is not None:
        yield f"erased by version {change.order.version}"
    if change.stand.words:
        yield change.stand.words


def _identify(origin: str, leaf: int | None = None) -> str:
    """Return the id of the feed, or of a leaf in it, wherever the service is."""
    return uuid5(NAMESPACE_URL, origin if leaf is None else f"{origin}#{leaf}").urn


def _add(above: Element, name: str, text: str = "") -> Element:
    element = SubElement(above, name)
    element.text = NO_XML.sub("\ufffd", text)
    return element


def _link(above: Element, relation: str, href: str, media_type: str | None = None) -> None:
    attributes = {"rel": relation, "href": href} | ({"type": media_type} if media_type else {})
    SubElement(above, "link", attributes)
