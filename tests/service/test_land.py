"""How a document is shown: the land is drawn, what is long is folded, what matters comes first."""

from __future__ import annotations

import math
import re
import time
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import InvalidError
from ledger.format import canonical
from ledger.service.pages.geometry import MAX_COORDINATE, read
from ledger.service.pages.naming import members, place, words
from ledger.service.pages.plan import MAX_DRAWN, METRES, WIDTH, Plan, Plans
from ledger.service.pages.summary import summary
from tests.laws import examples
from tests.service.client import HTML, Client
from tests.service.test_pages import check

if TYPE_CHECKING:
    from ledger.format.canonical import JSONValue

law = settings(deadline=None, max_examples=examples(100))

TITLE = "TN1234567"
SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]
HOLE = [[0.2, 0.2], [0.2, 0.4], [0.4, 0.4], [0.2, 0.2]]
KINDS = ("Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon")


def plan_of(value: JSONValue) -> Plan:
    plan = Plans.of({"land": value}).document["land"]
    assert isinstance(plan, Plan), value
    return plan


def pixels(plan: Plan) -> list[tuple[float, float]]:
    """Where in the drawing the corners of the shapes are."""
    assert plan.drawing
    paths = "".join(shape.d for shape in plan.drawing.shapes)
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([^ ]+) ([^LZMh]+)", paths)]


CLIENT = Client()
COUNT = count(1)


def page_of(document: dict[str, Any]) -> str:
    title = f"LAND{next(COUNT)}"
    CLIENT.ledger.append(title, document)
    answer = CLIENT.get(f"/titles/{title}", headers=HTML)
    assert answer.status_code == 200
    check(answer.text)
    return answer.text


# -- The reader ----------------------------------------------------------------------------------

numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**53), 2**53),
    st.floats(-180, 180),
    st.sampled_from([0, -0.0, 5e-324, 1e308, 90, 180, -180]),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=5))
names = st.sampled_from(
    [*KINDS, "Feature", "FeatureCollection", "GeometryCollection", "type", "coordinates"]
)
anything = st.recursive(
    scalars | names,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "coordinates", "geometry", "geometries", "features", "crs"]),
            inner | names,
            max_size=4,
        )
    ),
    max_leaves=25,
)
wkt = st.lists(
    st.sampled_from([*map(str.upper, KINDS), "(", ")", ",", "1", "-2.5e3", "Z", "EMPTY", "SRID=1;"])
    | st.text(max_size=3),
    max_size=20,
).map(" ".join)


@given(anything | wkt)
@law
def test_nothing_that_a_document_can_hold_breaks_the_reader(value: JSONValue) -> None:
    geometry = read(value)
    if geometry is not None:
        assert all(map(math.isfinite, sum(geometry.positions(), ())))


def test_what_is_nested_too_deeply_is_no_geometry() -> None:
    value: Any = {"type": "Point", "coordinates": [1, 2]}
    for _ in range(7):
        value = {"type": "GeometryCollection", "geometries": [value]}
    assert read(value)
    assert read({"type": "Feature", "geometry": value}) is None


def _position(limit: float) -> st.SearchStrategy[list[float]]:
    coordinate = st.floats(-limit, limit) | st.sampled_from([0.0, limit, -limit, 5e-324])
    return st.lists(coordinate, min_size=2, max_size=3)


@given(
    st.sampled_from([90.0, MAX_COORDINATE, 1e-300]).flatmap(
        lambda limit: st.lists(
            st.lists(_position(limit), min_size=3, max_size=8), min_size=1, max_size=3
        )
    )
)
@law
def test_every_corner_is_in_view_whatever_the_coordinates(rings: list[Any]) -> None:
    plan = plan_of({"type": "Polygon", "coordinates": [[*ring, ring[0]] for ring in rings]})
    assert plan.drawing
    found = pixels(plan)
    assert found
    assert all(0 <= x <= WIDTH and 0 <= y <= plan.drawing.height for x, y in found)
    assert 0 <= plan.drawing.bar <= WIDTH / 2


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ({"type": "Point", "coordinates": [1, 2]}, "1 point"),
        ({"type": "Point", "coordinates": [1, 2, 300]}, "1 point"),
        ({"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]}, "2 points"),
        ({"type": "LineString", "coordinates": [[1, 2], [3, 4]]}, "1 line with 2 points"),
        (
            {"type": "MultiLineString", "coordinates": [[[1, 2], [3, 4]]] * 2},
            "2 lines with 4 points",
        ),
        (
            {"type": "Polygon", "coordinates": [SQUARE, HOLE]},
            "1 area with 7 corners and 1 hole",
        ),
        ({"type": "MultiPolygon", "coordinates": [[SQUARE], [HOLE]]}, "2 areas with 7 corners"),
        (
            {
                "type": "GeometryCollection",
                "geometries": [
                    {"type": "Point", "coordinates": [1, 2]},
                    {"type": "Polygon", "coordinates": [SQUARE]},
                ],
            },
            "1 area with 4 corners, 1 point",
        ),
        (
            {
                "type": "FeatureCollection",
                "features": [
                    {
                        "type": "Feature",
                        "properties": None,
                        "geometry": {"type": "Point", "coordinates": [1, 2]},
                    },
                    {"type": "Feature", "properties": {}, "geometry": None},
                ],
            },
            "1 point",
        ),
        ("POINT (30 10)", "1 point"),
        ("point z(30 10 5)", "1 point"),
        ("MULTIPOINT ((1 2), (3 4))", "2 points"),
        ("MULTIPOINT (1 2, 3 4)", "2 points"),
        ("LINESTRING M (1 2 9, 3 4 9)", "1 line with 2 points"),
        ("MULTILINESTRING ((1 2, 3 4), (5 6, 7 8))", "2 lines with 4 points"),
        ("SRID=3857;POLYGON ((0 0, 9 0, 9 9, 0 0))", "1 area with 3 corners"),
        ("MULTIPOLYGON (((0 0, 9 0, 9 9, 0 0)), ((1 1, 2 1, 2 2, 1 1)))", "2 areas with 6 corners"),
        (
            "GEOMETRYCOLLECTION (POINT (1 2), LINESTRING (1 2, 3 4))",
            "1 line with 2 points, 1 point",
        ),
    ],
)
def test_every_kind_of_geometry_is_drawn(value: JSONValue, what: str) -> None:
    plan = plan_of(value)
    assert plan.what == what
    assert plan.drawing
    assert plan.drawing.shapes


@pytest.mark.parametrize(
    "value",
    [
        {"type": "Point", "coordinates": []},
        {"type": "Point", "coordinates": [True, 1]},
        {"type": "Point", "coordinates": ["1", "2"]},
        {"type": "Point", "coordinates": [1, 2, "high"]},
        {"type": "Point", "coordinates": [1e300, 2]},
        {"type": "point", "coordinates": [1, 2]},
        {"type": ["Point"], "coordinates": [1, 2]},
        {"type": "LineString", "coordinates": [[1, 2]]},
        {"type": "Polygon", "coordinates": [[[1, 2], [3, 4]]]},
        {"type": "Polygon", "coordinates": [SQUARE, [[1, 2]]]},
        {"type": "Polygon", "coordinates": []},
        {"type": "Feature", "geometry": None},
        {"type": "Feature"},
        {"type": "FeatureCollection", "features": {"a": 1}},
        {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [1]}]},
        "POINT (1 2) by the gate",
        "POINT (1 2",
        "POINT (1 2, 3 4)",
        "POINT (1)",
        "POINT (1 2 3 4 5)",
        "POINT (1_0 2)",
        "POINT (nan inf)",
        "POINT EMPTY",
        "MULTIPOINT ((1 2, 3 4))",
        "Polygon (see the plan)",
        "GEOMETRYCOLLECTION (" * 5000,
        "POINT" + " " * 100_000,
        "POINT (" + "9" * 100_000,
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_geometry_to_the_letter_is_shown_as_it_is(value: JSONValue) -> None:
    assert read(value) is None
    assert Plans.of({"land": value}).document == {"land": value}


# -- The drawing ---------------------------------------------------------------------------------


def test_the_scale_bar_is_as_long_as_it_says() -> None:
    side = 1000 / METRES  # a kilometre, in degrees of latitude
    across = side / math.cos(math.radians(60))
    south, north = 60 - side / 2, 60 + side / 2
    ring = [[10, south], [10 + across, south], [10 + across, north], [10, north], [10, south]]
    plan = plan_of({"type": "Polygon", "coordinates": [ring]})
    assert plan.size == "1 km by 1 km"
    assert plan.drawing
    xs = [x for x, _ in pixels(plan)]
    assert plan.drawing.bar_label == "200 m"
    assert plan.drawing.bar / (max(xs) - min(xs)) == pytest.approx(200 / 1000, rel=0.01)


def test_north_is_up_and_east_is_to_the_right() -> None:
    plan = plan_of({"type": "LineString", "coordinates": [[-2, 52], [-1, 53]]})
    (west, south), (east, north) = pixels(plan)
    assert west < east
    assert north < south


def test_without_a_named_system_neither_metres_nor_north_are_claimed() -> None:
    for land in ("POLYGON ((0 0, 1 0, 1 1, 0 0))", {"type": "Point", "coordinates": [252800, 9]}):
        plan = plan_of(land)
        assert not plan.geometry.is_wgs84
        source = page_of({"land": land})
        assert 'class="north"' not in source
        assert "Whether up is north is not known" in source
        assert not re.search(r"[0-9] k?m\b", plan.size)
    assert 'class="north"' in page_of({"land": "SRID=4326;POINT (1 2)"})
    named = {"type": "name", "properties": {"name": "EPSG:25832"}}
    source = page_of({"land": {"type": "Point", "coordinates": [1, 2], "crs": named}})
    assert "EPSG:25832" in source
    assert 'class="north"' not in source


def test_across_the_180th_meridian_both_sides_are_near_each_other() -> None:
    halves = [
        [[[179, -17], [180, -17], [180, -16], [179, -17]]],
        [[[-180, -17], [-179, -17], [-180, -16], [-180, -17]]],
    ]
    plan = plan_of({"type": "MultiPolygon", "coordinates": halves})
    assert plan.crosses
    assert plan.size == "213 km by 111 km"


def test_one_point_says_where_it_is_and_has_no_scale() -> None:
    source = page_of({"well": {"type": "Point", "coordinates": [-2.71583, 52.3676]}})
    assert "1 point at 52.3676° north, 2.71583° west" in source
    assert 'class="bar"' not in source


@pytest.mark.parametrize("count", [20_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_thousands_of_corners_make_a_small_page_or_no_drawing(count: int) -> None:
    turn = [i / count * math.tau for i in range(count)]
    circle = [[math.cos(a), math.sin(a)] for a in turn]
    begun = time.process_time()
    plan = plan_of({"type": "Polygon", "coordinates": [[*circle, circle[0]]]})
    assert plan.drawing
    assert len(pixels(plan)) <= MAX_DRAWN
    assert plan.drawing.left_out > 0.8 * count
    scribble = [[(i * math.sqrt(2)) % 1, (i * math.sqrt(3)) % 1] for i in range(count // 5)]
    for kind in ("LineString", "MultiPoint"):
        assert plan_of({"type": kind, "coordinates": scribble}).drawing is None
    assert time.process_time() - begun < 20
    source = page_of({"land": {"type": "Polygon", "coordinates": [circle[: count // 10]]}})
    assert len(source) < 200_000
    assert "too close to others" in source
    assert "A boundary that does not end where it begins" in source


def test_many_plans_make_a_page_of_a_usual_size() -> None:
    ring = [[round(math.cos(i / 100), 4), round(math.sin(i / 100), 4)] for i in range(629)]
    land = {"type": "Polygon", "coordinates": [ring]}
    assert len(page_of({"parcels": [{"n": n, "land": land} for n in range(60)]})) < 400_000


def test_a_plan_has_words_for_those_who_do_not_see_it() -> None:
    land = {"type": "Polygon", "coordinates": [SQUARE, HOLE]}
    source = page_of({"proprietor": "Ada", "extent": land})
    svg = re.search(r"<svg role=.*?</svg>", source, re.DOTALL)
    assert svg
    ids = re.search(r'aria-labelledby="([^"]*)"', svg[0])
    assert ids
    assert all(f'id="{each}"' in svg[0] for each in ids[1].split())
    assert "1 area with 7 corners and 1 hole" in svg[0]
    assert 'fill-rule="evenodd"' in svg[0]
    assert source.count("<svg role=") == 1  # in the summary, and not again in the document
    assert 'href="#plan-1"' in source
    folded = source[source.index("Coordinates, and how") :].split("</details>")[0]
    assert "[0.2, 0.4]" in folded


def test_what_a_feature_says_beside_its_geometry_is_shown() -> None:
    parcel = {
        "type": "Feature",
        "id": "P-1",
        "properties": {"use": "pasture <b>"},
        "geometry": {"type": "Polygon", "coordinates": [SQUARE]},
    }
    for document in ({"land": parcel}, parcel):
        visible = re.sub(r"<details.*?</details>", "", page_of(document), flags=re.DOTALL)
        assert "P-1" in visible
        assert "pasture &lt;b&gt;" in visible
        assert 'class="area"' in visible


def test_a_table_of_changes_tells_of_land_in_words() -> None:
    client = Client()
    client.ledger.append(TITLE, {"owner": "Ada"})
    client.ledger.append(
        TITLE, {"owner": "Ada", "extent": {"type": "Polygon", "coordinates": [SQUARE]}}
    )
    for path in ("/entries", "/diff", ""):
        source = client.get(f"/titles/{TITLE}{path}", headers=HTML).text
        check(source)
        assert re.search(r"<ins>\s*<p>1 area with 4 corners, about 111 km by 111 km</p>", source)


# -- Long and deep documents ---------------------------------------------------------------------


def test_what_is_deep_or_long_is_folded() -> None:
    deep: Any = "the innermost"
    for level in range(40):
        deep = {f"level_{level}": deep, "note": level}
    source = page_of({"terms": deep, "covenants": ["keep the fence"] * 60, "text": "long " * 1000})
    shown = re.sub(r"<details.*?</details>", "", source, flags=re.DOTALL)
    assert "the innermost" in source
    assert "the innermost" not in shown
    assert shown.count("keep the fence") == 10
    assert "50 more items" in source
    assert "all 5,000 characters" in source


# -- Names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("property_description", "Property description"),
        ("pricePaid", "Price paid"),
        ("class-of-title", "Class of title"),
        ("uprn", "UPRN"),
        ("title_URL", "Title URL"),
        ("line1", "Line 1"),
        ("a_", "a_"),
        ("Żółta", "Żółta"),
        ("price paid", "price paid"),
        ("x" * 500, "x" * 500),
        ("", ""),
    ],
)
def test_names_in_words(name: str, said: str) -> None:
    assert words(name) == said


@law
@given(st.text(max_size=30) | st.from_regex(r"[A-Za-z0-9_-]{0,20}", fullmatch=True))
def test_no_name_is_lost_in_words(name: str) -> None:
    assert words(name).lower().replace(" ", "") == re.sub("[_-]", "", name.lower()) or (
        words(name) == name
    )


def test_names_that_sound_alike_stay_as_they_are() -> None:
    both = members({"price_paid": 1, "pricePaid": 2}, 10)
    assert [each.name.words for each in both] == [["price_paid"], ["pricePaid"]]


def test_programs_find_the_names_and_places_in_the_page() -> None:
    client = Client()
    client.ledger.append(TITLE, {"property_description": "a field", "charges": ["A", "B"]})
    client.ledger.append(TITLE, {"property_description": "a wood", "charges": ["A", "C"]})
    source = client.get(f"/titles/{TITLE}", headers=HTML).text
    assert '<data value="property_description"><bdi class="text">Property desc' in source
    assert re.search(r'<data value="/charges/1">.*Charges.*item 2', source)
    visible = re.sub(r'<pre class="commands">.*?</pre>|<[^>]*>', "", source, flags=re.DOTALL)
    assert "/charges" not in visible


def test_a_member_named_by_a_number_is_no_item() -> None:
    document = {"lots": {"1": [{"a": 0}]}}
    assert place("/lots/1/0/a", document).words == ["Lots", "1", "item 1", "A"]
    assert place(f"/lots/1/{'9' * 5000}", document).words == ["Lots", "1", "9" * 5000]
    assert place("/lots/1/7", document).words == ["Lots", "1", "item 8"]
    assert place("", document).words == ["the whole document"]


# -- The summary ---------------------------------------------------------------------------------


def _lines(document: JSONValue) -> dict[str, list[str]]:
    rows = summary(Plans.of(document).document).rows
    return {
        row.name.words[0]: [
            ", ".join([line.text, *(f"{name} {said}" for name, said in line.more)])
            for line in row.lines
        ]
        + ["…"] * row.left_out
        for row in rows
    }


def test_the_summary_has_what_people_come_for() -> None:
    document = {
        "charges": [{"lender": "Bank of Yorkshire", "amount": 180000}],
        "notes": "not in it",
        "payment": {"price_paid": 240000.5, "currency": "GBP"},
        "property": {
            "address": {"town": "Ludlow", "road": "Mill Lane", "house_number": 12},
            "tenure": "freehold",
        },
        "proprietors": [{"first_name": "Ada", "last_name": "Lovelace", "share": "1/2"}, "Bob"],
    }
    assert _lines(document) == {
        "Address": ["12, Mill Lane, Ludlow"],
        "Tenure": ["freehold"],
        "Proprietors": ["Ada Lovelace, Share 1/2", "Bob"],
        "Price paid": ["240000.5 GBP"],
        "Charges": ["Bank of Yorkshire, Amount 180000"],
    }
    assert _lines({"pricePaid": 1250000, "charges": []}) == {
        "Price paid": ["1,250,000"],
        "Charges": ["none"],
    }


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"proprietor": {"name": "Ada", "of": {"x": 1}}}, ["Ada", "…"]),
        ({"proprietors": [["Ada"]]}, ["…"]),
        ({"proprietor": ""}, ["…"]),
        ({"proprietor": "A" * 5000}, ["A" * 200, "…"]),
        ({"charges": None}, ["…"]),
        ({"charges": ["a"] * 100}, [*["a"] * 8, "…"]),
        ({"price": {"amount": 5, "currency": "GBP", "tax": 1}}, ["5 GBP", "…"]),
        ({"address": {"road": "Mill Lane", "planet": "Earth"}}, ["Mill Lane", "…"]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_the_summary_says_where_the_document_has_more(
    document: dict[str, JSONValue], said: list[str]
) -> None:
    assert list(_lines(document).values()) == [said]
    assert 'in the <a href="#document">document</a>' in page_of(document)


@given(anything)
@law
def test_any_document_can_be_summed_up(value: JSONValue) -> None:
    try:
        canonical.encode(value)
    except InvalidError:  # no document holds it
        return
    for name in ("property", "proprietors", "price_paid", "address", "charges"):
        summary(Plans.of({name: value, "payment": {name: value}}).document)


def test_a_page_whose_proof_fails_has_no_summary() -> None:
    client = Client()
    client.ledger.append(TITLE, {"proprietor": "Ada", "extent": "POINT (1 2)"})
    client.ledger.append(TITLE, {"proprietor": "Bob", "extent": "POINT (1 2)"})
    good = client.get(f"/titles/{TITLE}", headers=HTML).text
    assert "<h2>Summary</h2>" in good
    assert good.index("<h2>Summary</h2>") < good.index("<h2>Verification</h2>")
    assert "Verified</a>. This is what the registrar signed." in good
    old = client.get(f"/titles/{TITLE}?version=1", headers=HTML).text
    assert "<h2>Summary as of version 1</h2>" in old
    store = client.ledger.store
    key = f"{TITLE}/{client.ledger.entry(TITLE, 'v1').address}.json"
    found = store.get(key)
    store.delete(key)
    store.create(key, found.data.replace(b"Ada", b"Eve"))
    bad = client.get(f"/titles/{TITLE}", headers=HTML).text
    assert "NOT as it was signed" in bad
    assert 'class="summary' not in bad
    assert "<svg role=" in bad  # in the document, after what the verification says


def test_a_document_without_the_known_names_has_no_summary() -> None:
    assert 'class="summary' not in page_of({"grantee": "Ada"})
