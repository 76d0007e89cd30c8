"""What unfolds on the search page: families, muting, splitting, filters, suggestions, files, links."""

import csv
import io
import re

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.search.search_choices import FamilyMove, parse_families
from dashboard.search.search_export import results_bibtex, results_csv
from sae.storage.structure_store import FamilyReader
from sae.store import Corpus
from tests.dashboard.search_app import Open, address, fidelity, shown_titles, top


def pushed(page: Open, **link: str) -> AppTest:
    """The page with its first slider at the right end."""
    app = page(**link)
    app.select_slider[0].set_value(top(app.select_slider[0])).run()
    return app


def first_feature(app: AppTest) -> str:
    """The id of the feature with the first slider."""
    keys = [re.fullmatch(r"reset-(\d+)", button.key or "") for button in app.button]
    return next(match.group(1) for match in keys if match)


@pytest.mark.parametrize(("edit", "visible"), [("1~0.02", False), ("1~30", True)])
def test_what_moved_along_is_told_where_its_numbers_differ(page: Open, edit: str, visible: bool) -> None:
    told = "".join(element.proto.body for element in page(sae="SAE3", e=edit).get("html"))
    moved = re.findall(r"<span>([^<]*) → ([^<]*)</span>", told)
    assert bool(moved) == visible == ("Moved along" in told)
    assert all(before != after for before, after in moved)


def pieces(app: AppTest, name: str) -> list[str]:
    return [e.proto.body for e in app.get("html") if f'class="{name}' in e.proto.body]


def test_the_parts_shown_sum_to_the_score_shown(page: Open) -> None:
    app = pushed(page)
    cards = [e.proto.body for e in app.get("html") if "sx-why" in e.proto.body and "<table>" in e.proto.body]
    assert len(cards) == 10
    for card in cards:
        cells = [
            float(number.replace("−", "-"))
            for number in re.findall(r"<td>([−\d.]+)</td></tr>", card.split("<table>")[1])
        ]
        score = float(re.search(r'cosine with the query">([−\d.]+)<', card).group(1).replace("−", "-"))  # type: ignore[union-attr]
        assert sum(cells[:-1]) == pytest.approx(cells[-1], abs=1e-4 * len(cells))  # as rounded on the page
        assert cells[-1] == pytest.approx(score, abs=6e-4)


def test_what_changed_is_counted_and_laid_side_by_side(page: Open) -> None:
    app = pushed(page)
    assert any("of the first 10 kept" in c.value for c in app.caption)
    assert not pieces(app, "sx-list")
    app.toggle(key="compare").set_value(True).run()
    before, after, worded = pieces(app, "sx-list")
    assert before.count("<li>") == after.count("<li>") == worded.count("<li>") == 10
    assert any("with emphasis on" in c.value for c in app.caption)


def test_a_family_moves_and_its_features_can_stay(page: Open, corpus: Corpus) -> None:
    sae = corpus.sae(corpus.saes[0])
    scores = FamilyReader(sae).scores().to_pylist() if FamilyReader(sae).available else []
    assert scores, "the tiny store should have a family"
    plain = shown_titles(page())
    app = page(fam="0~9")
    assert fidelity(app) < 1
    ids = list(dict.fromkeys(FamilyReader(sae).tree(0)["feature_id"].to_pylist()))
    whole = fidelity(app)
    app.pills[-1].set_value(ids[:1]).run()
    assert fidelity(app) != whole
    assert address(app)["fam"] == "~".join(["0", "9", *map(str, sorted(ids[1:]))])
    link = address(app)
    assert shown_titles(page(**link)) == shown_titles(app)
    app.button(key="drop-family-0").click().run()
    assert shown_titles(app) == plain


def test_a_muted_feature_is_silent_in_every_query(page: Open) -> None:
    app = page()
    plain, n = shown_titles(app), len(app.select_slider)
    feature_id = first_feature(app)
    muted = page(mute=feature_id)
    assert len(muted.select_slider) == n - 1
    assert shown_titles(muted) != plain or fidelity(muted) < 1
    muted.text_input(key="query-box").set_value("yeast and flour").run()
    assert address(muted)["mute"] == feature_id
    muted.button(key=f"hear-{feature_id}").click().run()
    assert "mute" not in address(muted)


def test_filters_hold_and_are_in_the_link(page: Open, corpus: Corpus) -> None:
    app = page()
    acts, indices = corpus.sae(corpus.saes[0]).by_document(np.arange(corpus.n_documents))
    feature_id = first_feature(app)
    has = ((indices == int(feature_id)) & (acts > 0)).any(1)
    titles = np.array(corpus.column("title").to_pylist())
    app = page(**{"with": feature_id, "n": "20"})
    found = shown_titles(app)
    assert len(found) == min(20, int(has.sum()))
    assert set(found) <= set(titles[has])
    assert {"with", "n"} <= set(address(app))
    assert not shown_titles(page(cat="no such category"))
    assert len(shown_titles(page(**{"from": "2999-99-99", "n": "7", "with": "x"}))) == 10


def test_less_like_this_is_shown_before_it_is_done(page: Open) -> None:
    app = page()
    before = shown_titles(app)
    app.button(key="less-like-0").click().run()
    assert shown_titles(app) == before
    app.button(key="apply-suggestion").click().run()
    assert not app.exception
    assert "e" in address(app)
    assert shown_titles(app) != before
    app.button(key="reset-all").click().run()
    assert shown_titles(app) == before


def test_a_feature_is_swapped_for_its_narrower_ones(page: Open) -> None:
    app = page()
    feature_id = first_feature(app)
    app.select_slider[0].set_value(top(app.select_slider[0])).run()
    app.session_state["split-open"] = int(feature_id)
    app.run()
    assert not app.exception
    if any(b.key == "swap" for b in app.button):
        app.button(key="swap").click().run()
        assert not app.exception
        assert address(app)["sae"] != "SAE3"
    assert len(shown_titles(app)) == 10


def test_sessions_share_nothing(page: Open) -> None:
    plain = shown_titles(page())
    one = pushed(page, mode="optimised", n="20")
    other = page()
    assert shown_titles(other) == plain
    assert set(address(other)) == {"corpus", "sae", "q"}
    assert len(shown_titles(one)) == 20
    one.run()
    assert "e" in address(one)


@pytest.mark.parametrize(
    "link",
    [
        {"fam": "0~nan_1~x_2_~_3~1e999", "mute": "x_99999999", "dir": "up", "n": "-3"},
        {"fam": "99999~1", "from": "yesterday", "to": "2020-13-01", "cat": "\u202e<script>" * 99},
        {"fam": "_".join(f"{i}~1" for i in range(500)), "with": "1_1_1_" * 900},
    ],
)
def test_nonsense_in_the_address_is_survived(page: Open, link: dict[str, str]) -> None:
    page(**link)


def test_families_in_an_address() -> None:
    assert parse_families("3~1.5_7~-0.5~41~9", 50) == {3: FamilyMove(1.5), 7: FamilyMove(-0.5, {41, 9})}
    assert parse_families("3~1~99", 50) == {3: FamilyMove(1.0)}
    assert parse_families("", 50) == {}


HOSTILE = {
    "doc_id": "=1+1", "title": '=HYPERLINK("http://a.b")\n}, x = {', "date": None, "categories": ["a"],
    "authors": ["{\\evil}", "B & C"], "citation_count": None, "url": "javascript:alert(1)",
}  # fmt: skip


def test_files_hold_the_results_and_nothing_that_acts() -> None:
    rows = list(csv.DictReader(io.StringIO(results_csv([HOSTILE, HOSTILE], [0.5, 0.25], [None, 1]).decode())))
    assert [row["rank"] for row in rows] == ["1", "2"]
    assert [row["rank_before"] for row in rows] == ["", "1"]
    assert rows[0]["title"].startswith("'=")
    assert rows[0]["url"] == ""
    entries = results_bibtex([HOSTILE, HOSTILE])
    assert entries.count("@misc{") == 2
    assert "javascript" not in entries
    assert "\n}, x" not in entries
    depth = 0
    for at, char in enumerate(entries):
        if entries[at - 1] != "\\":
            depth += (char == "{") - (char == "}")
        assert depth >= 0
    assert depth == 0


def test_the_filters_widgets_have_a_links_values_as_defaults(page: Open) -> None:
    # Nothing draws a closed popover: what its widgets are told in only one run is lost before it is opened.
    app = page(n="20")
    for _ in range(2):
        count = next(g for g in app.get("button_group") if "count-box" in str(g.proto.id))
        assert list(count.proto.default) == [1]
        app.run()
