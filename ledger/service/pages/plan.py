"""Draw a geometry as a plan: shapes in the coordinates of an SVG, with a scale bar and north.

Degrees are drawn in an equirectangular projection: a degree of longitude is as much shorter than
one of latitude as it is in the middle of what is drawn. On a parcel, and on a parish, nobody can
see the difference to a surveyor's projection. In other coordinates neither the unit nor north is
known, so none is claimed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from math import cos, floor, log10, pi, radians
from typing import TYPE_CHECKING, NamedTuple

from ledger.service.pages.geometry import PARTS, Geometry, Position, read

if TYPE_CHECKING:
    from ledger.format.canonical import JSONValue

WIDTH = 400
"""The width of a drawing in its own pixels. Those of a phone are about as many."""
EDGE = 14
MAX_HEIGHT = 340
MIN_HEIGHT = 90
FOOT = 46
"""Below the drawing: the scale bar, and the arrow to the north."""
MAX_BAR = 150

METRES = pi / 180 * 6_371_008.8
"""A degree of latitude, on a sphere of the earth's mean radius."""

MAX_DRAWN = 3_000
MAX_ON_PAGE = 8_000
"""How many corners one plan, and all plans of a page, may have: 12 characters each."""
MAX_PLANS = 50
TOLERANCES = (0.3, 0.7, 1.5, 3.0)
"""Corners that are nearer to each other than that, in pixels, are drawn as one."""


class Shape(NamedTuple):
    """One ``path`` of the drawing."""

    kind: str
    """``area``, ``line`` or ``spot``."""
    d: str


@dataclass(frozen=True)
class Drawing:
    """What a template writes as SVG."""

    height: int
    shapes: list[Shape]
    bar: float = 0
    """How long the scale bar is; 0: there is none."""
    bar_label: str = ""
    left_out: int = 0
    """How many corners are drawn as one with others."""


@dataclass(frozen=True)
class Plan:
    """A geometry in a document, in place of the value that it was read from."""

    value: JSONValue
    """What the document has."""
    said: JSONValue
    """What of it is not geometry: names, properties; None: nothing."""
    number: int
    """Counts the plans of a page, from 1; 0: it is only told of."""
    what: str
    """``a polygon with 4 corners``"""
    size: str
    """``about 310 m by 240 m``; empty: it is a point."""
    geometry: Geometry
    latitude: float
    """In the middle."""
    crosses: bool
    """Whether it lies on both sides of the 180th meridian."""
    drawing: Drawing | None
    """None: it has too many corners, or the page has too many plans."""

    @property
    def at(self) -> str:
        """Where it is, if it is one point on the earth."""
        positions = self.geometry.positions()
        if len(positions) > 1 or not self.geometry.is_wgs84:
            return ""
        ((x, y),) = positions
        north, east = "north" if y >= 0 else "south", "east" if x >= 0 else "west"
        return f"{abs(y):.9g}° {north}, {abs(x):.9g}° {east}"


@dataclass
class Plans:
    """A document in which each geometry is a Plan, for one page."""

    document: JSONValue = None
    _draws: bool = True
    _left: int = MAX_ON_PAGE
    _count: int = 0

    @classmethod
    def of(cls, document: JSONValue) -> Plans:
        """Look for the geometries of a document."""
        plans = cls()
        found = plans._put_in(document)
        if isinstance(found, Plan):  # the whole document is one geometry
            found = {**(found.said or {}), "geometry": replace(found, said=None)}
        plans.document = found
        return plans

    @classmethod
    def told(cls, value: JSONValue) -> JSONValue:
        """Put plans without drawings into a value: what is said of it in a table of changes."""
        plans = cls(_draws=False)
        return plans._put_in(value)

    def _put_in(self, value: JSONValue) -> JSONValue:
        if isinstance(value, dict | str) and (geometry := read(value)):
            return self._plan(value, geometry)
        if isinstance(value, dict):
            return {name: self._put_in(member) for name, member in value.items()}
        if isinstance(value, list):
            return [self._put_in(item) for item in value]
        return value

    def _plan(self, value: JSONValue, geometry: Geometry) -> Plan:
        self._count += 1
        frame = _Frame(geometry)
        may_draw = self._draws and self._count <= MAX_PLANS
        limit = min(MAX_DRAWN, self._left) if may_draw else 0
        drawing = frame.draw(limit) if limit else None
        if drawing:
            self._left -= frame.drawn
        return Plan(
            value,
            _said(value),
            self._count if self._draws else 0,
            _what(geometry),
            frame.size,
            geometry,
            frame.latitude,
            frame.crosses,
            drawing,
        )


def _said(value: JSONValue) -> JSONValue:
    """Return what an object says beside its geometry."""
    if not isinstance(value, dict):
        return None
    silent = {"type", "coordinates", "geometry", "bbox", "crs"}
    said = {
        name: member
        for name, member in value.items()
        if name not in silent and not (name == "properties" and not member)
    }
    if said.keys() == {"properties"} and isinstance(said["properties"], dict):
        return said["properties"]
    if (parts := PARTS.get(value["type"])) and parts in said:
        said[parts] = [item for item in map(_said, said[parts]) if item]
        if not said[parts]:
            del said[parts]
    return said or None


def _what(geometry: Geometry) -> str:
    """Name what is drawn: ``2 areas with 9 corners and 1 hole, and 3 points``."""
    holes = sum(len(area) - 1 for area in geometry.areas)
    corners = sum(len(ring) - 1 for area in geometry.areas for ring in area)
    bends = sum(map(len, geometry.lines))
    parts = []
    if geometry.areas:
        with_holes = f" and {_count(holes, 'hole')}" if holes else ""
        area = _count(len(geometry.areas), "area")
        parts.append(f"{area} with {_count(corners, 'corner')}{with_holes}")
    if geometry.lines:
        parts.append(f"{_count(len(geometry.lines), 'line')} with {_count(bends, 'point')}")
    if geometry.points:
        parts.append(_count(len(geometry.points), "point"))
    return ", ".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


class _Frame:
    """Where a geometry lies, and how that is laid on paper."""

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = geometry
        self.drawn = 0
        positions = geometry.positions()
        xs = [x for x, _ in positions]
        ys = [y for _, y in positions]
        self.crosses = geometry.is_wgs84 and _crosses(xs)
        if self.crosses:
            xs = [_east(x) for x in xs]
        self._west, self._north = min(xs), max(ys)
        self.latitude = (self._north + min(ys)) / 2
        self._across = cos(radians(self.latitude)) if geometry.is_wgs84 else 1.0
        wide, high = (max(xs) - self._west) * self._across, self._north - min(ys)
        # What is smaller than the digits can tell is a point.
        least = max(map(abs, (*xs, *ys))) * 1e-13
        self._wide, self._high = (each if each > least else 0.0 for each in (wide, high))
        room = [
            pixels / length
            for pixels, length in ((WIDTH - 2 * EDGE, self._wide), (MAX_HEIGHT, self._high))
            if length
        ]
        self._scale = min(room, default=0.0)
        self._unit = METRES if geometry.is_wgs84 else 1.0
        if self._scale and not 1e-9 < self._unit / self._scale < 1e12:
            self._scale = 0.0

    @property
    def size(self) -> str:
        """How large it is, from west to east and from north to south."""
        if not self._scale:
            return ""
        is_metric = self._geometry.is_wgs84
        sides = (_length(side * self._unit, is_metric) for side in (self._wide, self._high))
        return " by ".join(sides)

    def draw(self, limit: int) -> Drawing | None:
        """Draw with no more corners than a limit; None: it takes more."""
        height = max(MIN_HEIGHT, round(self._high * self._scale))
        left = (WIDTH - self._wide * self._scale) / 2
        top = EDGE + (height - self._high * self._scale) / 2

        def lay(position: Position) -> Position:
            x = _east(position[0]) if self.crosses else position[0]
            across = (x - self._west) * self._across * self._scale
            return left + across, top + (self._north - position[1]) * self._scale

        found = self._geometry
        parts = [
            *([list(map(lay, ring)) for ring in area] for area in found.areas),
            *([list(map(lay, line))] for line in found.lines),
        ]
        points = dict.fromkeys(map(_pixel, map(lay, found.points)))
        for tolerance in TOLERANCES:
            parts = [[_thin(run, tolerance) for run in part] for part in parts]
            spots = points | dict.fromkeys(_pixel(part[0][0]) for part in parts if _is_spot(part))
            self.drawn = len(spots) + sum(
                len(run) for part in parts if not _is_spot(part) for run in part
            )
            if self.drawn <= limit:
                break
        else:
            return None
        areas = len(found.areas)
        shapes = [
            *(_outline(part) for part in parts[:areas] if not _is_spot(part)),
            *(Shape("line", _path(part[0])) for part in parts[areas:] if not _is_spot(part)),
            *(Shape("spot", f"M{x} {y}h0") for x, y in spots),
        ]
        bar, label = self._bar()
        foot = FOOT if bar or found.is_wgs84 else 0
        left_out = len(found.positions()) - self.drawn
        return Drawing(height + 2 * EDGE + foot, shapes, bar, label, left_out)

    def _bar(self) -> tuple[float, str]:
        """Find a round length that fits below the drawing."""
        if not self._scale:
            return 0, ""
        pixel = self._unit / self._scale
        power = 10.0 ** floor(log10(MAX_BAR * pixel))
        length = next(n * power for n in (5, 2, 1) if n * power <= MAX_BAR * pixel * (1 + 1e-9))
        return round(length / pixel, 1), _length(length, self._geometry.is_wgs84)


def _crosses(xs: list[float]) -> bool:
    """Tell whether longitudes are nearer to each other across the 180th meridian."""
    east = [_east(x) for x in xs]
    return max(xs) - min(xs) > 180 > max(east) - min(east)


def _east(longitude: float) -> float:
    return longitude + 360 if longitude < 0 else longitude


def _thin(run: list[Position], tolerance: float) -> list[Position]:
    """Leave out points that are nearer than that to the one before; keep both ends."""
    kept = run[:1]
    for x, y in islice(run, 1, len(run) - 1):
        if abs(x - kept[-1][0]) > tolerance or abs(y - kept[-1][1]) > tolerance:
            kept.append((x, y))
    return kept + run[-1:] if len(run) > 1 else kept


def _is_spot(part: list[list[Position]]) -> bool:
    """Tell whether a part is too small to be seen as more than a spot."""
    return len(part) == 1 and len(part[0]) < 3 and part[0][0] == part[0][-1]


def _pixel(position: Position) -> tuple[int, int]:
    return round(position[0]), round(position[1])


def _outline(rings: list[list[Position]]) -> Shape:
    return Shape("area", "".join(_path(ring) + "Z" for ring in rings))


def _path(run: list[Position]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in run)


def _length(length: float, is_metric: bool) -> str:
    """Write a length with the digits that a reader can use."""
    unit = "units"
    if is_metric:
        is_far = length >= 999.5
        unit = "km" if is_far else "m"
        length = length / 1000 if is_far else length
    digits = f"{length:,.0f}" if length >= 100 else f"{length:.3g}"
    return f"{digits} {unit}"
