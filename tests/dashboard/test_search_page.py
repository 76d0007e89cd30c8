"""The search page, run headless against the tiny store."""

import html
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from sae.manifest import file_sha256
from sae.schema import CURRENT, MANIFEST, SCHEMA_VERSION
from sae.store import Corpus, open_store

ROOT = Path(__file__).parent.parent.parent
HOME = str(ROOT / "dashboard" / "Home.py")
CORPUS = "planted"

Open = Callable[..., AppTest]


@pytest.fixture
def page(tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Open the dashboard, on another store or with an address where given."""

    def run(store: Path = tiny_store, **link: str) -> AppTest:
        monkeypatch.setenv("ARTIFACTS", str(store))
        app = AppTest.from_file(HOME, default_timeout=60)
        for name, value in link.items():
            app.query_params[name] = value
        app.run()
        assert not app.exception, [e.value for e in app.exception]
        return app

    return run


@pytest.fixture
def corpus(tiny_store: Path) -> Corpus:
    return open_store(tiny_store).corpus(CORPUS)


@pytest.fixture
def copy(tiny_store: Path, tmp_path: Path) -> Path:
    """A store of one's own, to break."""
    return Path(shutil.copytree(tiny_store, tmp_path / "store", symlinks=True))


def build_of(store: Path) -> Path:
    return store / "builds" / (store / CURRENT).read_text().strip()


def edit_manifest(build: Path, change: Callable[[dict], None]) -> None:
    manifest = json.loads((build / MANIFEST).read_text())
    change(manifest)
    (build / MANIFEST).unlink()  # the copy may share bytes with the original
    (build / MANIFEST).write_text(json.dumps(manifest))


def without_encoder(store: Path) -> Path:
    """The store as it is when the documents were embedded by a model that is not there."""
    build = build_of(store)
    shutil.rmtree(build / "query_encoder", ignore_errors=True)

    def forget(manifest: dict) -> None:
        manifest["files"] = {k: v for k, v in manifest["files"].items() if not k.startswith("query_encoder/")}

    edit_manifest(build, forget)
    return store


def shown_titles(app: AppTest) -> list[str]:
    """Titles of the result cards, in order."""
    pieces = [element.proto.body for element in app.get("html")]
    found = [re.search(r'class="sx-title"[^>]*>(.*?)</(?:a|span)>', piece) for piece in pieces]
    return [html.unescape(match.group(1)) for match in found if match]


def plain_titles(corpus: Corpus, vector: np.ndarray, n: int = 10) -> list[str]:
    """What cosine alone finds, with nothing of ours in between."""
    rows = corpus.embeddings.astype(np.float64)
    scores = (rows @ vector / np.linalg.norm(rows, axis=1) / np.linalg.norm(vector)).astype(np.float32)
    titles = corpus.column("title").to_pylist()
    return [titles[i] for i in np.argsort(-scores, kind="stable")[:n]]


def address(app: AppTest) -> dict[str, str]:
    """Parameters in the address bar."""
    found = {name: app.query_params[name] for name in app.query_params}
    return {name: value if isinstance(value, str) else value[0] for name, value in found.items()}


def fidelity(app: AppTest) -> float:
    text = next(m.value for m in app.markdown if m.value.startswith("Fidelity"))
    return float(re.search(r"\*\*([\d.−]+)\*\*", text).group(1).replace("−", "-"))  # type: ignore[union-attr]


def test_an_example_is_answered_when_the_page_opens(page: Open, corpus: Corpus) -> None:
    app = page()
    example = corpus.queries().to_pylist()[0]
    assert app.text_input(key="query-box").value == example["query"]
    assert shown_titles(app) == plain_titles(corpus, np.array(example["embedding"]))
    assert fidelity(app) == 1
    assert app.slider, "no slider to push"
    values = [slider.value for slider in app.slider]
    assert values == sorted(values, reverse=True)
    assert address(app)["q"] == example["query"]


def test_a_slider_moves_the_list_and_resetting_brings_it_back(page: Open) -> None:
    app = page()
    before = shown_titles(app)
    slider = app.slider[0]
    slider.set_value(slider.min).run()
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
    first, second = app.slider[0], app.slider[1]
    first.set_value(first.max).run()
    only_first = shown_titles(app)
    app.slider[1].set_value(second.max).run()
    resets = [
        button.key for button in app.button if (button.key or "").startswith("reset-") and not button.disabled
    ]
    assert len(resets) == 3  # both features and all
    second_id = address(app)["e"].split("_")[1].split("~")[0]
    app.button(key=f"reset-{second_id}").click().run()
    assert shown_titles(app) == only_first


def test_putting_a_slider_back_in_the_middle_is_no_edit(page: Open) -> None:
    app = page()
    before, middle = shown_titles(app), app.slider[0].value
    app.slider[0].set_value(app.slider[0].max).run()
    app.slider[0].set_value(middle).run()
    assert "e" not in address(app)
    assert shown_titles(app) == before


def test_a_link_opened_elsewhere_shows_the_same_page(page: Open) -> None:
    app = page()
    app.slider[0].set_value(app.slider[0].max).run()
    link = address(app)
    assert set(link) == {"corpus", "sae", "q", "e"}
    elsewhere = page(**link)
    assert shown_titles(elsewhere) == shown_titles(app)
    assert [s.value for s in elsewhere.slider] == [s.value for s in app.slider]
    assert address(elsewhere) == link


def test_edits_survive_other_pages(page: Open) -> None:
    app = page()
    app.slider[0].set_value(app.slider[0].max).run()
    steered, values = shown_titles(app), [s.value for s in app.slider]
    app.switch_page("views/features.py").run()
    assert not app.exception
    app.switch_page("views/search.py").run()
    assert shown_titles(app) == steered
    assert [s.value for s in app.slider] == values


def test_another_corpus_and_another_sae(page: Open) -> None:
    app = page()
    app.slider[0].set_value(app.slider[0].max).run()
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
    present = {slider.label for slider in app.slider}
    wanted = table[~table["dead"] & ~table["label"].isin(present) & table["label"].ne("")].iloc[-1]
    app.text_input(key="add-feature").set_value(wanted["label"].upper()).run()
    key = f"add-{wanted['feature_id']}"
    assert next(b.key for b in app.button if (b.key or "").startswith("add-")) == key
    before = shown_titles(app)
    app.button(key=key).click().run()
    assert not app.exception
    assert app.text_input(key="add-feature").value == ""
    assert len(app.slider) == len(present) + 1
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


def test_reconstruction_changes_steered_lists_only(page: Open) -> None:
    app = page()
    plain = shown_titles(app)
    app.selectbox(key="mode-box").set_value("reconstruction").run()
    assert shown_titles(app) == plain
    assert fidelity(app) == 1
    app.slider[0].set_value(app.slider[0].max).run()
    reconstructed = fidelity(app)
    assert address(app)["mode"] == "reconstruction"
    app.selectbox(key="mode-box").set_value("direct").run()
    assert fidelity(app) != reconstructed


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


def break_nothing_there(store: Path) -> None:
    shutil.rmtree(store)


def break_half_built(store: Path) -> None:
    (store / CURRENT).unlink()


def break_no_manifest(store: Path) -> None:
    (build_of(store) / MANIFEST).unlink()


def break_newer(store: Path) -> None:
    edit_manifest(build_of(store), lambda manifest: manifest.update(schema_version=SCHEMA_VERSION + 1))


def break_older(store: Path) -> None:
    edit_manifest(build_of(store), lambda manifest: manifest.update(schema_version=0))


def break_manifest(store: Path) -> None:
    (build_of(store) / MANIFEST).unlink()
    (build_of(store) / MANIFEST).write_text('{"schema_version": 1')


def break_missing_file(store: Path) -> None:
    (build_of(store) / CORPUS / "documents.parquet").unlink()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.unlink()
    path.write_bytes(data)


def break_documents(store: Path) -> None:
    flip(build_of(store) / CORPUS / "documents.parquet")


def break_search(store: Path) -> None:
    flip(build_of(store) / CORPUS / "search.npy")


def break_features(store: Path) -> None:
    flip(build_of(store) / CORPUS / "SAE3" / "features.parquet")


def break_weights(store: Path) -> None:
    path = max(
        (build_of(store) / CORPUS / "SAE3" / "sae.zarr" / "W_dec").rglob("*"), key=lambda p: p.stat().st_size
    )
    flip(path)


def break_queries(store: Path) -> None:
    flip(build_of(store) / CORPUS / "queries.parquet")


@pytest.mark.parametrize(
    "damage",
    [
        break_nothing_there,
        break_half_built,
        break_no_manifest,
        break_newer,
        break_older,
        break_manifest,
        break_missing_file,
        break_documents,
        break_search,
        break_features,
        break_weights,
        break_queries,
    ],
)
def test_a_store_that_cannot_be_read_is_one_sentence(
    page: Open, copy: Path, damage: Callable[[Path], None]
) -> None:
    damage(copy)
    app = page(copy)
    assert len(app.warning) == 1, [w.value for w in app.warning]
    assert "make " in app.warning[0].value or "Update" in app.warning[0].value
    assert "Traceback" not in app.warning[0].value


def test_a_new_build_is_served_without_a_restart(page: Open, copy: Path) -> None:
    app = page(copy)
    build = build_of(copy)
    renamed = build.with_name("feedbeef")
    shutil.copytree(build, renamed)
    (renamed / CORPUS / "queries.parquet").unlink()
    shutil.copy(renamed / "planted-too" / "queries.parquet", renamed / CORPUS / "queries.parquet")
    digest = file_sha256(renamed / CORPUS / "queries.parquet")
    size = (renamed / CORPUS / "queries.parquet").stat().st_size

    def describe(manifest: dict) -> None:
        manifest["files"][f"{CORPUS}/queries.parquet"] |= {"sha256": digest, "size": size}

    edit_manifest(renamed, describe)
    (copy / CURRENT).unlink()
    (copy / CURRENT).write_text("feedbeef\n")
    fresh = page(copy)
    assert fresh.text_input(key="query-box").value != app.text_input(key="query-box").value


def test_serving_imports_nothing_heavy(tiny_store: Path) -> None:
    code = (
        "import sys; from streamlit.testing.v1 import AppTest\n"
        f"app = AppTest.from_file({HOME!r}, default_timeout=60).run()\n"
        "assert not app.exception and not app.warning\n"
        "app.text_input(key='query-box').set_value('yeast').run()\n"
        "app.switch_page('views/features.py').run()\n"
        "heavy = ('torch', 'scipy', 'sklearn', 'openai', 'numba', 'transformers', 'matplotlib')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "ARTIFACTS": str(tiny_store)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "[]", done.stdout
