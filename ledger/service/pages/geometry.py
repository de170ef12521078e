"""Read geometries out of a document: GeoJSON objects (RFC 7946) and well-known text (WKT).

Whatever is not a geometry, to the letter, is read as none, and shown like any other value: a
picture that was guessed would be worse than numbers. Nothing here raises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger.format.canonical import JSONValue

Position = tuple[float, float]

MAX_COORDINATE = 1e12
"""No land has larger coordinates, and beyond it a float no longer keeps millimetres."""

LEVELS = {
    "Point": 0,
    "MultiPoint": 1,
    "LineString": 1,
    "MultiLineString": 2,
    "Polygon": 2,
    "MultiPolygon": 3,
}
"""The simple geometries, and how deeply the positions of each are nested."""
PARTS = {
    "GeometryCollection": "geometries",
    "FeatureCollection": "features",
}
"""What consists of others, and the member that has them."""
WKT_KINDS = {kind.upper(): kind for kind in [*LEVELS, "GeometryCollection"]}

_WKT_BEGINS = re.compile(
    rf"(?:SRID=([0-9]{{1,6}});)?\s*(?:{'|'.join(WKT_KINDS)})\s*(?:Z|M|ZM)?\s*\(", re.IGNORECASE
)
_WKT_TOKEN = re.compile(r"[(),]|[^\s(),]+")
_NESTING = 8
"""How deeply geometries are nested. What is deeper is read once more for each level below."""
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_WGS84 = re.compile(r"(?:urn:ogc:def:crs:)?(?:OGC:[0-9.]*:?CRS84|EPSG::?4326)")


class _NotGeometry(Exception):
    """A value that is no geometry."""


@dataclass
class Geometry:
    """What is to be drawn: areas with holes, lines and points."""

    areas: list[list[list[Position]]] = field(default_factory=list)
    """Polygons; of each, its boundary and then its holes, each closed."""
    lines: list[list[Position]] = field(default_factory=list)
    points: list[Position] = field(default_factory=list)
    crs: str | None = None
    """The coordinate system that was named; None: none was."""
    is_wgs84: bool = False
    """Whether positions are longitude and latitude in degrees."""
    was_open: bool = False
    """Whether a boundary did not end where it began, and was closed."""

    def positions(self) -> list[Position]:
        """Return all positions, those that close a boundary too."""
        rings = [ring for area in self.areas for ring in area]
        return [*(each for run in (*rings, *self.lines) for each in run), *self.points]

    def add(self, kind: str, found: JSONValue) -> None:
        """Add a simple geometry, whose positions have been read."""
        each = [found] if kind in {"Point", "LineString", "Polygon"} else found
        if kind.endswith("Point"):
            self.points += each
        elif kind.endswith("LineString"):
            self.lines += map(_line, each)
        else:
            self.areas += ([self._ring(ring) for ring in rings] for rings in each if rings)

    def _ring(self, ring: list[Position]) -> list[Position]:
        if ring and ring[0] != ring[-1]:
            self.was_open = True
            ring = [*ring, ring[0]]
        if len(ring) < 4:
            raise _NotGeometry
        return ring


def _line(line: list[Position]) -> list[Position]:
    if len(line) < 2:
        raise _NotGeometry
    return line


def read(value: JSONValue) -> Geometry | None:
    """Read a geometry; None if it is none, or has nothing to draw."""
    found = Geometry()
    try:
        if isinstance(value, str):
            _read_wkt(value, found)
        elif isinstance(value, dict):
            found.crs = _crs(value)
            _add_object(value, found, _NESTING)
    except _NotGeometry:
        return None
    positions = found.positions()
    if not positions:
        return None
    # GeoJSON that names no system is in WGS 84 (RFC 7946, section 4). WKT leaves it open.
    by_default = found.crs is None and isinstance(value, dict)
    by_name = found.crs is not None and _WGS84.fullmatch(found.crs) is not None
    found.is_wgs84 = (by_default or by_name) and all(
        abs(x) <= 180 and abs(y) <= 90 for x, y in positions
    )
    return found


# -- GeoJSON ---------------------------------------------------------------------------------------


def _crs(value: dict[str, JSONValue]) -> str | None:
    """The coordinate system that an older object names (GeoJSON 2008); "" if it is not clear."""
    if "crs" not in value:
        return None
    match value["crs"]:
        case {"properties": {"name": str() as name}}:
            return name[:80]
    return ""


def _add_object(value: JSONValue, found: Geometry, nesting: int) -> None:
    if not nesting:
        raise _NotGeometry
    match value:
        case {"type": "Feature", "geometry": geometry}:
            if geometry is not None:
                _add_object(geometry, found, nesting - 1)
        case {"type": "GeometryCollection" | "FeatureCollection" as kind}:
            parts = value.get(PARTS[kind])
            if not isinstance(parts, list):
                raise _NotGeometry
            for part in parts:
                _add_object(part, found, nesting - 1)
        case {"type": str() as kind, "coordinates": coordinates} if kind in LEVELS:
            found.add(kind, _positions(coordinates, LEVELS[kind]))
        case _:
            raise _NotGeometry


def _positions(value: JSONValue, level: int) -> JSONValue:
    if not isinstance(value, list):
        raise _NotGeometry
    if level:
        return [_positions(item, level - 1) for item in value]
    if len(value) < 2 or not all(map(_is_coordinate, value)):
        raise _NotGeometry
    return float(value[0]), float(value[1])


def _is_coordinate(value: JSONValue) -> bool:
    return type(value) in (int, float) and -MAX_COORDINATE <= value <= MAX_COORDINATE


# -- Well-known text -------------------------------------------------------------------------------


def _read_wkt(text: str, found: Geometry) -> None:
    begins = _WKT_BEGINS.match(text[:100].lstrip())
    if begins is None:
        raise _NotGeometry
    if begins[1]:
        found.crs = f"EPSG:{int(begins[1])}"
        text = text.partition(";")[2]
    tokens = _Tokens(text)
    tokens.geometry(found, _NESTING)
    if tokens.next() != "":
        raise _NotGeometry


class _Tokens:
    """The words, numbers and signs of a text, read from left to right."""

    def __init__(self, text: str) -> None:
        self._all = _WKT_TOKEN.findall(text)
        self._at = 0

    def next(self) -> str:
        """Take a token; none is left: an empty one."""
        self._at += 1
        return self._all[self._at - 1] if self._at <= len(self._all) else ""

    def peek(self) -> str:
        return self._all[self._at].upper() if self._at < len(self._all) else ""

    def geometry(self, found: Geometry, nesting: int) -> None:
        """Read ``POLYGON ((0 0, 1 0, 1 1, 0 0))``, say; with heights or measures, left out."""
        word = self.next().upper()
        kind = WKT_KINDS.get(word) or WKT_KINDS.get(word.rstrip("ZM"))
        if self.peek() in {"Z", "M", "ZM"}:
            self.next()
        if kind is None or not nesting:
            raise _NotGeometry
        if self.peek() == "EMPTY":
            self.next()
        elif kind in PARTS:
            self._items(lambda: self.geometry(found, nesting - 1))
        elif kind == "Point":
            found.points.append(self._single())
        else:
            found.add(kind, self._nested(LEVELS[kind], bare=kind == "MultiPoint"))

    def _nested(self, level: int, *, bare: bool) -> list[JSONValue]:
        if level > 1:
            return self._items(lambda: self._nested(level - 1, bare=bare))
        return self._items(self._bare_position if bare else self._position)

    def _items(self, read_one: Callable[[], JSONValue]) -> list[JSONValue]:
        if self.next() != "(":
            raise _NotGeometry
        items = [read_one()]
        while (sign := self.next()) == ",":
            items.append(read_one())
        if sign != ")":
            raise _NotGeometry
        return items

    def _bare_position(self) -> Position:
        """A position of a MULTIPOINT, which may stand in brackets of its own."""
        if self.peek() != "(":
            return self._position()
        return self._single()

    def _single(self) -> Position:
        positions = self._items(self._position)
        if len(positions) != 1:
            raise _NotGeometry
        position: Position = positions[0]
        return position

    def _position(self) -> Position:
        numbers = []
        while self.peek() not in {",", ")", ""}:
            token = self.next()
            if len(token) > 40 or not _NUMBER.fullmatch(token):
                raise _NotGeometry
            numbers.append(float(token))
        if not 2 <= len(numbers) <= 4 or not all(map(_is_coordinate, numbers)):
            raise _NotGeometry
        return numbers[0], numbers[1]
