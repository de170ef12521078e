"""JSON or HTML: what the Accept header prefers (RFC 9110, section 12.5.1)."""

from __future__ import annotations

import re

__all__ = ["prefers_html"]

QUALITY = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


def prefers_html(accept: str) -> bool:
    """Whether HTML is strictly preferred: JSON is what everybody else gets, whatever they say."""
    ranges = [_parse(part) for part in accept.split(",") if part.strip()]
    return _quality(ranges, "text", "html") > _quality(ranges, "application", "json")


def _parse(part: str) -> tuple[str, str, float]:
    media, *parameters = (piece.strip().lower() for piece in part.split(";"))
    kind, _, subtype = media.partition("/")
    quality = next((p[2:].strip() for p in parameters if p.startswith("q=")), "1")
    return kind, subtype, float(quality) if QUALITY.fullmatch(quality) else 0.0


def _quality(ranges: list[tuple[str, str, float]], kind: str, subtype: str) -> float:
    """The quality of the most specific range that matches, or 0."""
    for wanted in ((kind, subtype), (kind, "*"), ("*", "*")):
        found = [quality for *media, quality in ranges if tuple(media) == wanted]
        if found:
            return max(found)
    return 0.0
