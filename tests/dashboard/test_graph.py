"""A family as a page: nothing of it acts or fetches, files of it can be read back, charts hold plain text."""

import html
import json
import re
from xml.etree import ElementTree

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from dashboard.families import family_charts, graph, treemap
from dashboard.families.family_files import family_graphml, family_json
from dashboard.families.family_node import Node, score_colour
from dashboard.families.family_svg import family_svg
from dashboard.families.graph import family_graph, graph_height
from dashboard.splitting import splitting_charts

HOSTILE = [
    "<script>alert(1)</script>",
    'href="https://evil.example/x" onerror=alert(1)',
    "![x](https://evil.example/x.png)",
    "left \u202e right \u0000 \x1b[31m",
    "</script><img src=https://evil.example onerror=alert(1)>",
    '"><iframe srcdoc="<script>parent.x=1</script>">',
    "x" * 10_000,
]


def nodes() -> list[Node]:
    return [
        Node(
            i,
            label,
            100.0 * i,
            10.0 * i,
            0.1,
            0.5 if i else None,
            0 if i else None,
            0.4 if i else None,
            (label,),
        )
        for i, label in enumerate(HOSTILE)
    ]


def inner_of(page: str) -> str:
    found = re.search(r'srcdoc="([^"]*)"', page)
    assert found
    return html.unescape(found.group(1))


def test_hostile_labels_leave_the_structure_of_the_page_alone() -> None:
    plain = [
        Node(n.feature_id, "label", n.x, n.y, n.density, n.score, n.parent, n.share, ("fact",))
        for n in nodes()
    ]
    hostile, harmless = family_graph(nodes(), "features?feature="), family_graph(plain, "features?feature=")
    for page, same in ((hostile, harmless), (inner_of(hostile), inner_of(harmless))):
        for pattern in (r"<script", r"<iframe", r"<img", r"</script", r"</iframe", r"<[a-z]+ [^>]*onerror"):
            assert len(re.findall(pattern, page)) == len(re.findall(pattern, same)), pattern
    assert "x" * 200 not in hostile
    assert "\u202e" not in hostile


def test_the_page_is_isolated_and_fetches_nothing() -> None:
    page = family_graph(nodes(), "features?feature=")
    inner = inner_of(page)
    assert 'sandbox="allow-scripts"' in page
    for part in (page, inner):
        assert "default-src 'none'" in part
        # The policy comes before anything that could act.
        assert part.index("Content-Security-Policy") < part.index("<script")
    assert not re.findall(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=", inner)
    assert '"physics": {"enabled": false' in inner or '"enabled": false' in inner


def test_the_library_is_compiled_once_and_its_style_left_out() -> None:
    inner = inner_of(family_graph(nodes(), "features?feature="))
    assert "vis-manipulation" not in re.sub(r"<script.*?</script>", "", inner, flags=re.DOTALL)
    before = graph._templates.cache_info().misses
    family_graph(nodes(), "features?feature=")
    assert graph._templates.cache_info().misses == before


def test_positions_are_the_given_ones() -> None:
    inner = inner_of(family_graph(nodes(), "features?feature="))
    drawn = json.loads(re.search(r"new vis\.DataSet\((\[.*?\])\);", inner, re.DOTALL).group(1))  # type: ignore[union-attr]
    assert [(n["id"], n["x"], n["y"]) for n in drawn] == [
        (i, 100.0 * i, 10.0 * i) for i in range(len(HOSTILE))
    ]
    assert all("title" not in n for n in drawn)  # a title with "href" would be set as HTML


def test_height_and_colour() -> None:
    assert (
        graph_height(nodes())
        < graph_height([Node(0, "a", 0, 0, 0, None), Node(1, "b", 0, 9e3, 0, None)])
        < 700
    )
    assert score_colour(0) != score_colour(0.5) != score_colour(1)
    assert score_colour(-1) == score_colour(0)


def rows() -> list[dict[str, object]]:
    found = []
    for i, label in enumerate(HOSTILE):
        node = {"feature_id": i, "label": label, "density": 0.1, "depth": 1, "f1": float("nan")}
        edge = {"count": 3, "share": 0.2, "similarity": 0.1} if i else {}
        above = (i - 1) // 2 if i else None
        found.append(node | edge | {"parent": above, "pearson": None if i == 2 else 0.5})
    return found


def test_graphml_is_read_back_by_networkx() -> None:
    content = family_graphml(rows())
    ElementTree.fromstring(content)
    graph = nx.parse_graphml(content.decode())
    assert graph.number_of_nodes() == len(HOSTILE)
    assert set(graph.edges) == {(f"f{(i - 1) // 2}", f"f{i}") for i in range(1, len(HOSTILE))}
    assert graph.nodes["f0"]["label"] == HOSTILE[0]
    assert graph.edges["f0", "f1"]["count"] == 3
    assert "pearson" not in graph.nodes["f2"]


def test_svg_holds_plain_text_and_nothing_that_acts() -> None:
    root = ElementTree.fromstring(family_svg(nodes()))
    kinds = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert kinds == {"svg", "defs", "marker", "path", "line", "g", "circle", "title", "text"}
    names = {name for element in root.iter() for name in element.attrib}
    assert not {name for name in names if name.startswith("on") or "href" in name}
    texts = [element.text or "" for element in root.iter() if element.tag.endswith("}title")]
    assert texts[0] == HOSTILE[0]
    assert max(map(len, texts)) < 200


def test_tiles_of_one_family_lie_inside_the_map() -> None:
    depths = [0, 1, 2, 2, 1, 2, 1]
    tree = pd.DataFrame(
        {"feature_id": range(7), "label": HOSTILE, "depth": depths, "n_active": range(70, 0, -10)}
    )
    found = treemap.family_tiles(tree.assign(pearson=[0.5, np.nan, 0.7, 0.8, 0.1, 0.4, 0.3]))
    drawn = next(iter(found.to_dict()["datasets"].values()))
    assert len(drawn) == 6
    area = sum((tile["x2"] - tile["x"]) * (tile["y2"] - tile["y"]) for tile in drawn)
    assert area == pytest.approx(treemap.WIDTH * treemap.HEIGHT)


def test_json_nests_the_tree() -> None:
    found = json.loads(family_json({"label": "family"}, rows()))
    assert found["tree"]["feature_id"] == 0
    assert [c["feature_id"] for c in found["tree"]["children"]] == [1, 2]
    assert found["tree"]["children"][0]["label"] == HOSTILE[1]


@pytest.mark.parametrize("n", [1, 2, 7, 60])
def test_tiles_fill_the_map_in_proportion(n: int) -> None:
    sizes = np.sort(np.random.default_rng(n).pareto(1, n) + 0.1)[::-1]
    found = treemap.tiles(sizes.tolist(), 100, 42)
    areas = (found[:, 2] - found[:, 0]) * (found[:, 3] - found[:, 1])
    np.testing.assert_allclose(areas, sizes / sizes.sum() * 4200, rtol=1e-9)
    assert found.min() >= -1e-9
    assert found[:, 2].max() <= 100 + 1e-9
    assert found[:, 3].max() <= 42 + 1e-9
    overlap_x = np.minimum(found[:, None, 2], found[None, :, 2]) - np.maximum(
        found[:, None, 0], found[None, :, 0]
    )
    overlap_y = np.minimum(found[:, None, 3], found[None, :, 3]) - np.maximum(
        found[:, None, 1], found[None, :, 1]
    )
    shared = np.clip(overlap_x, 0, None) * np.clip(overlap_y, 0, None)
    assert shared[~np.eye(n, dtype=bool)].sum() < 1e-6


def test_charts_hold_no_hostile_character() -> None:
    n = len(HOSTILE)
    families = pd.DataFrame(
        {"family_id": range(n), "label": HOSTILE, "size": 5, "n_documents": range(n, 0, -1), "pearson": 0.5}
    )
    flow_nodes = pd.DataFrame(
        {"id": [str(i) for i in range(n)], "column": [0, *[1] * (n - 1)], "y": range(n), "label": HOSTILE,
         "kind": "split", "pearson": None}
    )  # fmt: skip
    ribbons = pd.DataFrame(
        {"source": "0", "target": [str(i) for i in range(1, n)], "shared": 3, "cosine": 0.5}
    )
    charts = [
        treemap.family_map(families),
        family_charts.radar(range(n), HOSTILE, [0.5] * n, 0.4),
        family_charts.matrix_block(range(n), HOSTILE, np.eye(n), "documents"),
        family_charts.projection(
            pd.DataFrame({"x": 0.0, "y": 0.0, "activation": 1.0, "title": HOSTILE, "features": [[1]] * n}),
            [0.5, 0.2],
        ),
        splitting_charts.flow(flow_nodes, ribbons, "#ffffff"),
    ]
    for chart in charts:
        text = chart.to_json()
        assert "\\u202e" not in text
        assert "\u202e" not in text
        assert "x" * 400 not in text


def test_labels_between_columns_stand_on_the_pages_ground_above_ribbons() -> None:
    flow_nodes = pd.DataFrame(
        {
            "id": ["0", "1", "2"],
            "column": [0, 1, 2],
            "y": 0.5,
            "label": "label",
            "kind": "split",
            "pearson": None,
        }
    )
    ribbons = pd.DataFrame({"source": ["0", "1"], "target": ["1", "2"], "shared": 3, "cosine": 0.5})
    chart = splitting_charts.flow(flow_nodes, ribbons, "#12181b").to_dict()
    layers = chart["layer"]
    grounds = [i for i, layer in enumerate(layers) if layer["mark"].get("stroke") == "#12181b"]
    assert len(grounds) == 1
    ground, written = layers[grounds[0]], layers[grounds[0] + 1]
    assert "line" in [layer["mark"]["type"] for layer in layers[: grounds[0]]]
    assert "stroke" not in written["mark"]
    assert ground["encoding"] == written["encoding"]
    assert {name: ground["mark"][name] for name in ("dx", "dy", "align", "fontSize", "limit")} == {
        name: written["mark"][name] for name in ("dx", "dy", "align", "fontSize", "limit")
    }
    names = {row["name"] for data in chart["datasets"].values() for row in data if "name" in row}
    assert names == {"label", "0.50  label"}  # a label too long for its place is cut at its end
