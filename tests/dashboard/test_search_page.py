"""The search page, run headless against the tiny store."""

from pathlib import Path

import numpy as np
import pytest

from sae.store import Corpus
from tests.dashboard.search_app import (
    CORPUS,
    Open,
    address,
    bottom,
    fidelity,
    opener,
    plain_titles,
    shown_titles,
    top,
    without_encoder,
)


def test_an_example_is_answered_when_the_page_opens(page: Open, corpus: Corpus) -> None:
    app = page()
    example = corpus.queries().to_pylist()[0]
    assert app.text_input(key="query-box").value == example["query"]
    assert shown_titles(app) == plain_titles(corpus, np.array(example["embedding"]))
    assert fidelity(app) == 1
    assert app.select_slider, "no slider to push"
    values = [slider.value for slider in app.select_slider]
    assert values == sorted(values, reverse=True)
    assert address(app)["q"] == example["query"]


def test_a_slider_moves_the_list_and_resetting_brings_it_back(page: Open) -> None:
    app = page()
    before = shown_titles(app)
    slider = app.select_slider[0]
    slider.set_value(bottom(slider)).run()
    assert not app.exception
    moved = shown_titles(app)
    assert moved != before
    assert fidelity(app) < 0.99
    assert "e" in address(app)
    assert any("→" in m.value for m in app.markdown)
    app.button(key="reset-all").click().run()
    assert shown_titles(app) == before
    assert "e" not in address(app)
    assert fidelity(app) == 1


def test_one_feature_is_reset_alone(page: Open) -> None:
    app = page()
    first, second = app.select_slider[0], app.select_slider[1]
    first.set_value(top(first)).run()
    only_first = shown_titles(app)
    app.select_slider[1].set_value(top(second)).run()
    resets = [
        button.key for button in app.button if (button.key or "").startswith("reset-") and not button.disabled
    ]
    assert len(resets) == 3  # both features and all
    second_id = address(app)["e"].split("_")[1].split("~")[0]
    app.button(key=f"reset-{second_id}").click().run()
    assert shown_titles(app) == only_first


def test_putting_a_slider_back_in_the_middle_is_no_edit(page: Open) -> None:
    app = page()
    before, middle = shown_titles(app), app.select_slider[0].value
    app.select_slider[0].set_value(top(app.select_slider[0])).run()
    app.select_slider[0].set_value(middle).run()
    assert "e" not in address(app)
    assert shown_titles(app) == before


def test_a_link_opened_elsewhere_shows_the_same_page(page: Open) -> None:
    app = page()
    app.select_slider[0].set_value(top(app.select_slider[0])).run()
    link = address(app)
    assert set(link) == {"corpus", "sae", "q", "e"}
    elsewhere = page(**link)
    assert shown_titles(elsewhere) == shown_titles(app)
    assert [s.value for s in elsewhere.select_slider] == [s.value for s in app.select_slider]
    assert address(elsewhere) == link


def test_a_slider_shows_what_a_link_set_and_stays_itself_when_it_is_moved(page: Open) -> None:
    app = page()
    app.select_slider[0].set_value(top(app.select_slider[0])).run()
    feature = address(app)["e"].split("~")[0]
    stops = [float(name.replace("−", "-")) for name in app.select_slider[0].options]
    between = round(stops[-3] + 0.3 * (stops[-2] - stops[-3]), 4)
    assert between not in stops
    linked = page(**(address(app) | {"e": f"{feature}~{between}"}))
    slider = linked.select_slider[0]
    assert slider.value == between
    slider.set_value(top(slider)).run()
    moved = linked.select_slider[0]
    assert (moved.key, moved.options) == (slider.key, slider.options)  # or a hand that drags it would lose it
    assert address(linked)["e"] == address(app)["e"]
    linked.button(key=f"reset-{feature}").click().run()
    assert linked.select_slider[0].options == page().select_slider[0].options


@pytest.mark.parametrize(
    "names", [{"sae": "SAE9"}, {"corpus": "else*where"}, {"corpus": "elsewhere", "sae": "SAE9"}]
)
def test_a_link_for_another_store_says_so_and_steers_nothing(page: Open, names: dict[str, str]) -> None:
    words, day = {"q": "the fermentation of bread"}, {"from": "2020-01-01"}
    link = (
        {"corpus": CORPUS, "sae": "SAE6", "e": "1~2", "fam": "0~1", "mute": "2", "with": "3"}
        | words
        | day
        | names
    )
    app = page(**link)
    (warning,) = app.warning
    assert f"made for {link['sae']} of {link['corpus'].replace('*', '&#42;')}, which" in warning.value
    assert "without the link's steering" in warning.value
    assert "open the link where" in warning.value
    found = address(app)
    assert found.pop("corpus") == CORPUS
    assert found.pop("sae") == "SAE3"
    assert found == words | ({} if "corpus" in names else day)
    app.run()  # a run for another reason does not take the sentence away; choosing something does
    assert len(app.warning) == 1
    app.selectbox(key="switch-corpus").set_value("planted-too").run()
    assert not app.warning


@pytest.mark.parametrize("link", [{"feature": "3"}, {"family": "1"}])
def test_a_page_of_another_store_is_not_another_page_here(
    tiny_store: Path, monkeypatch: pytest.MonkeyPatch, link: dict[str, str]
) -> None:
    view = "features" if "feature" in link else "families"
    app = opener(tiny_store, monkeypatch, view)(corpus="elsewhere", sae="SAE3", **link)
    assert "made for SAE3 of elsewhere" in app.warning[0].value
    assert link.items() - address(app).items()


def test_edits_survive_other_pages(page: Open) -> None:
    app = page()
    app.select_slider[0].set_value(top(app.select_slider[0])).run()
    steered, values = shown_titles(app), [s.value for s in app.select_slider]
    app.switch_page("views/features.py").run()
    assert not app.exception
    app.switch_page("views/search.py").run()
    assert shown_titles(app) == steered
    assert [s.value for s in app.select_slider] == values


def test_another_corpus_and_another_sae(page: Open) -> None:
    app = page()
    app.select_slider[0].set_value(top(app.select_slider[0])).run()
    first = shown_titles(app)
    app.selectbox(key="switch-sae").set_value("SAE6").run()
    assert "e" not in address(app)  # edits name features of one SAE
    assert address(app)["sae"] == "SAE6"
    app.selectbox(key="switch-corpus").set_value("planted-too").run()
    assert not app.exception
    assert shown_titles(app)
    assert shown_titles(app) != first


def test_a_feature_is_added_by_its_words(page: Open, corpus: Corpus) -> None:
    app = page()
    table = corpus.sae(corpus.saes[0]).features(["feature_id", "label", "dead"]).to_pandas()
    present = {slider.label for slider in app.select_slider}
    wanted = table[~table["dead"] & ~table["label"].isin(present) & table["label"].ne("")].iloc[-1]
    app.text_input(key="add-feature").set_value(wanted["label"].upper()).run()
    key = f"add-{wanted['feature_id']}"
    assert next(b.key for b in app.button if (b.key or "").startswith("add-")) == key
    before = shown_titles(app)
    app.button(key=key).click().run()
    assert not app.exception
    assert app.text_input(key="add-feature").value == ""
    assert len(app.select_slider) == len(present) + 1
    assert address(app)["e"].startswith(f"{wanted['feature_id']}~")
    assert shown_titles(app) != before


def test_words_that_no_label_has_find_by_meaning_or_say_so(page: Open) -> None:
    app = page()
    app.text_input(key="add-feature").set_value("zzzz qqqq").run()
    assert not app.exception
    found = [b for b in app.button if (b.key or "").startswith("add-")]
    assert found or any("No feature" in c.value for c in app.caption)


def test_a_typed_query_is_answered(page: Open, corpus: Corpus) -> None:
    from sae.query import QueryEncoder

    encoder = QueryEncoder(corpus.store.query_encoder)
    app = page()
    app.text_input(key="query-box").set_value("yeast and flour").run()
    assert shown_titles(app) == plain_titles(
        corpus, encoder.encode(["yeast and flour"])[0].astype(np.float64)
    )


@pytest.mark.parametrize(
    "query",
    [
        "🦔 🦔🏽‍♀️",
        "word " * 3000,
        "**bold** <script>alert(1)</script> $x$ ![i](http://a.b/c.png)",
        "\u202eabc\x07",
        "é" * 4000,
    ],
)
def test_queries_of_every_kind_are_survived(page: Open, query: str) -> None:
    assert len(shown_titles(page(q=query))) == 10


def test_an_empty_query_says_what_to_do(page: Open) -> None:
    app = page()
    app.text_input(key="query-box").set_value("   ").run()
    assert not app.exception
    assert not shown_titles(app)
    assert "example" in app.info[0].value


@pytest.mark.parametrize(
    "link",
    [
        {"e": "junk"},
        {"e": "1~nan_2~inf_3~1e999_~_5"},
        {"e": "99999999~1_-4~2"},
        {"e": "3~1e30", "q": "anything"},
        {"corpus": "nowhere", "sae": "SAE9000"},
        {"corpus": "../../etc", "sae": "", "q": ""},
        {"like": "999999999999999"},
        {"like": "-1"},
        {"mode": "sideways"},
        {"e": "_".join(f"{i}~1" for i in range(5000))},
    ],
)
def test_nonsense_in_the_address_is_survived(page: Open, link: dict[str, str]) -> None:
    page(**link)


def test_too_large_an_edit_is_one_sentence(page: Open, corpus: Corpus) -> None:
    example = corpus.queries().to_pylist()[0]["query"]
    app = page(q=example, e="3~1e30")
    assert "too large" in app.warning[0].value


@pytest.mark.parametrize("mode", ["direct", "optimised"])
def test_without_edits_a_way_to_steer_changes_nothing(page: Open, mode: str) -> None:
    plain = shown_titles(page())
    app = page(mode=mode)
    assert shown_titles(app) == plain
    assert fidelity(app) == 1
    app.select_slider[0].set_value(top(app.select_slider[0])).run()
    assert fidelity(app) < 1
    app.button(key="reset-all").click().run()
    assert shown_titles(app) == plain


def test_reconstruction_says_how_it_differs(page: Open) -> None:
    app = page()
    app.radio(key="mode-box").set_value("reconstruction").run()
    assert fidelity(app) < 1
    assert any("others than your words alone" in c.value for c in app.caption)
    assert address(app)["mode"] == "reconstruction"
    app.radio(key="mode-box").set_value("direct").run()
    assert fidelity(app) == 1


def test_directions_of_a_raised_feature_differ_and_are_in_the_link(page: Open) -> None:
    app = page()
    app.select_slider[0].set_value(top(app.select_slider[0])).run()
    alone = fidelity(app)
    app.radio(key="direction-box").set_value("typical").run()
    assert fidelity(app) != alone
    link = address(app)
    assert link["dir"] == "typical"
    assert shown_titles(page(**link)) == shown_titles(app)


def test_without_a_query_encoder_examples_and_titles_lead_on(page: Open, copy: Path, corpus: Corpus) -> None:
    store = without_encoder(copy)
    app = page(store)
    assert len(shown_titles(app)) == 10  # the example has its embedding in the store
    title = corpus.column("title")[17].as_py()
    app.text_input(key="query-box").set_value(title[:-1]).run()
    assert not app.exception
    assert "embedded by a model that is not here" in app.info[0].value
    app.button(key="like-17").click().run()
    assert shown_titles(app) == plain_titles(corpus, corpus.embeddings[17].astype(np.float64))
    assert address(app)["like"] == "17"
    assert shown_titles(page(store, like="17", corpus=CORPUS)) == shown_titles(app)
    app.text_input(key="add-feature").set_value("qqqq").run()
    assert any("No feature" in c.value for c in app.caption)
