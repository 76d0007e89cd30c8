"""What a session has chosen (corpus, SAE, query, edits), kept across pages and mirrored in the address bar.

The session holds the truth; the address bar is read when a page is opened by a link, and written after every
change. Names in the address: ``corpus``, ``sae``, ``q`` (query), ``like`` (the row of a document that is
searched with instead of words), ``e`` (edits: ``12~1.2_40~-0.3``), ``mode``, and those of
``dashboard.search.search_choices``.
"""

import math
import time
from urllib.parse import urlencode

import streamlit as st

from dashboard import data, served
from dashboard.search import search_choices
from dashboard.text import safe_text
from sae import schema
from sae.steer import MODES
from sae.store import Store

ADDRESS_NAMES = ("corpus", "sae", "q", "like", "e", "mode", *search_choices.NAMES)
DEFAULT_MODE = next(iter(MODES))
# What a link names of a corpus means nothing where another is shown. What it names of an SAE is something else in
# another, whose features have other numbers; so is what pages read from the address themselves.
_OF_A_CORPUS = ("like", "from", "to", "cat")
_OF_AN_SAE = ("e", "fam", "mute", "with")
_ON_A_PAGE = ("feature", "family", "start")
MAX_EDITS = 64
MAX_QUERY_CHARACTERS = data.MAX_QUERY_CHARACTERS
_RECENT_SECONDS = 3.0


def follow_build() -> None:
    """Go over to the build that is served now; call once, at the start of a full run. What names features, families
    or documents goes where these are others in the new build, or where the corpus or the SAE is gone from it."""
    before, now = served.follow()
    if before is None or before.digest == now.digest:
        return
    # Of the build before only what is in memory is asked: its folder may be gone.
    corpus_name, sae_name = _selected_in(before)
    st.session_state["corpus"], st.session_state["sae"] = corpus_name, sae_name
    select(*_selected_in(now))
    if selected() != (corpus_name, sae_name):
        return

    def differ(path: str) -> bool:
        return _files(before, path) != _files(now, path)

    if differ(f"{corpus_name}/{sae_name}/{schema.SAE}/"):
        st.session_state["edits"] = {}
        search_choices.forget_features()
    if differ(f"{corpus_name}/{sae_name}/{schema.FAMILIES}"):
        st.session_state["families"] = {}
    if differ(f"{corpus_name}/{schema.DOCUMENTS}"):
        _forget_row()


def _files(store: Store, prefix: str) -> dict[str, str]:
    return {path: entry.sha256 for path, entry in store.manifest.files.items() if path.startswith(prefix)}


def selected() -> tuple[str, str]:
    """The chosen corpus and SAE; the first ones of the build when none is chosen or the chosen are gone."""
    return _selected_in(data.store())


def _selected_in(store: Store) -> tuple[str, str]:
    corpora = store.manifest.corpora
    corpus_name = st.session_state.get("corpus")
    if corpus_name not in corpora:
        corpus_name = next(iter(corpora))
    saes = corpora[corpus_name]["saes"]
    sae_name = st.session_state.get("sae")
    if sae_name not in saes:
        sae_name = next(iter(saes))
    return str(corpus_name), str(sae_name)


def _forget_row() -> None:
    """What names a row of the corpus' documents goes: the one that is searched with, and the one more or less of whose
    like was asked for."""
    st.session_state.pop("like", None)
    st.session_state.pop(search_choices.SUGGESTED, None)


def select(corpus_name: str, sae_name: str) -> None:
    """Choose a corpus and an SAE. Edits name features of one SAE, so another SAE starts without any."""
    if (corpus_name, sae_name) != (st.session_state.get("corpus"), st.session_state.get("sae")):
        st.session_state["edits"] = {}
        search_choices.forget_features()
    if corpus_name != st.session_state.get("corpus") and not st.session_state.get("typed"):
        st.session_state.pop("query", None)
    if corpus_name != st.session_state.get("corpus"):
        _forget_row()
        search_choices.forget_filters()
    st.session_state["corpus"], st.session_state["sae"] = corpus_name, sae_name


def query() -> str:
    """The query being answered; the corpus' first example until another is asked."""
    asked = st.session_state.get("query")
    if asked is None:
        texts, _ = data.example_queries(selected()[0])
        return texts[0] if texts else ""
    return str(asked)


def set_query(text: str, typed: bool = True) -> None:
    """Ask another query, which starts without edits; ``typed`` ones are kept when the corpus changes."""
    text = " ".join(text.split())[:MAX_QUERY_CHARACTERS]
    if text != query() or like() is not None:
        clear_edits()
    st.session_state["query"], st.session_state["typed"] = text, typed
    _forget_row()


def like() -> int | None:
    """The row of the document that is searched with instead of words, if any."""
    row = st.session_state.get("like")
    return row if row is not None and 0 <= row < data.corpus(selected()[0]).n_documents else None


def set_like(row: int) -> None:
    """Search with a document's own embedding, without edits."""
    clear_edits()
    st.session_state["like"] = int(row)


def set_mode(name: str) -> None:
    """Choose how edits act on the query, one of MODES."""
    st.session_state["mode"] = name


def edits() -> dict[int, float]:
    """The features that were set and their values, in the order in which they were first touched."""
    return dict(st.session_state.get("edits", {}))


def add_edit(feature_id: int, value: float) -> None:
    """Set one feature's activation in the query to ``value``."""
    if not math.isfinite(value):
        return
    current = st.session_state.setdefault("edits", {})
    if feature_id in current or len(current) < MAX_EDITS:
        current[int(feature_id)] = float(value)


def remove_edit(feature_id: int) -> None:
    """Give one feature back its own activation."""
    st.session_state.get("edits", {}).pop(feature_id, None)


def clear_edits() -> None:
    """Give every feature and every family back its own activation; what is muted stays so."""
    st.session_state["edits"] = {}
    search_choices.clear_families()


def mode() -> str:
    """How edits act on the query, one of MODES."""
    found = st.session_state.get("mode")
    return str(found) if found in MODES else DEFAULT_MODE


def format_edits(values: dict[int, float]) -> str:
    """``{12: 1.2, 40: -0.3}`` → ``12~1.2_40~-0.3``: only characters that an address leaves as they are."""
    return "_".join(f"{feature_id}~{value:.4g}" for feature_id, value in values.items())


def parse_edits(text: str) -> dict[int, float]:
    """The reverse of :func:`format_edits`; parts that are not a feature and a finite number are left out."""
    found: dict[int, float] = {}
    for part in text.split("_"):
        feature_id, _, number = part.partition("~")
        try:
            value = float(number)
        except ValueError:
            continue
        if feature_id.isascii() and feature_id.isdigit() and len(feature_id) < 9 and math.isfinite(value):
            found[int(feature_id)] = value
        if len(found) == MAX_EDITS:
            break
    return found


def address() -> dict[str, str]:
    """The session's choice as parameters of an address."""
    corpus_name, sae_name = selected()
    found = {"corpus": corpus_name, "sae": sae_name}
    if (row := like()) is not None:
        found["like"] = str(row)
    else:
        found["q"] = query()
    if edits():
        found["e"] = format_edits(edits())
    if mode() != DEFAULT_MODE:
        found["mode"] = mode()
    return found | search_choices.address()


def read_address() -> None:
    """Take over what the address bar says, unless the session itself wrote it there.

    Call once at the start of a full run. The browser reports an address a moment after it was written, so
    recently written ones are not taken for a link that somebody opened.
    """
    found = {name: st.query_params[name] for name in ADDRESS_NAMES if name in st.query_params}
    key = urlencode(found)
    now = time.monotonic()
    written = {k: t for k, t in st.session_state.get("written", {}).items() if now - t < _RECENT_SECONDS}
    st.session_state["written"] = written
    if not found or key in written or key == st.session_state.get("last_written"):
        return
    lacks_corpus, lacks_sae = _select_named(found.get("corpus", ""), found.get("sae", ""))
    foreign = (_OF_A_CORPUS if lacks_corpus else ()) + (_OF_AN_SAE if lacks_sae else ())
    if found.keys() & {"q", "like", "e", *search_choices.NAMES}:
        _take_over_search({name: value for name, value in found.items() if name not in foreign})
    if lacks_sae:
        for name in _ON_A_PAGE:
            st.query_params.pop(name, None)
        st.session_state["not_here"] = (_not_here(found, foreign), address())
    st.session_state["last_written"] = key


def _select_named(corpus_name: str, sae_name: str) -> tuple[bool, bool]:
    """Choose the corpus and the SAE that an address names, "" for none; (is the corpus lacking, is the SAE lacking)."""
    if corpus_name and corpus_name not in data.store().corpora:
        return True, True
    chosen = corpus_name or selected()[0]
    saes = data.corpus(chosen).saes
    if corpus_name or sae_name in saes:
        select(chosen, sae_name if sae_name in saes else saes[0])
    return False, bool(sae_name) and sae_name not in saes


def _not_here(found: dict[str, str], foreign: tuple[str, ...]) -> str:
    """What is said of a link whose corpus or SAE the build lacks."""
    corpus_name, sae_name = (safe_text(name, 60) for name in selected())
    named = [safe_text(found[name], 60) for name in ("sae", "corpus") if found.get(name)]
    left_out = ", without the link's steering and filters" if found.keys() & set(foreign) else ""
    return (
        f"This link was made for {' of '.join(named)}, which this store does not have. You see {sae_name} of "
        f"{corpus_name} instead{left_out}. To see what was sent, open the link where its own store is served."
    )


def not_here() -> str:
    """Markdown that says so when the link that was opened names a corpus or an SAE that the build lacks; "" when all
    is here, or something else has been chosen since."""
    sentence, then = st.session_state.get("not_here", ("", None))
    return sentence if then is not None and then == address() else ""


def _take_over_search(found: dict[str, str]) -> None:
    row = found.get("like", "")
    if row.isascii() and row.isdigit() and len(row) < 12:
        set_like(int(row))
    elif "q" in found:
        set_query(found["q"], typed=found["q"] not in data.example_queries(selected()[0])[0])
    n_latents = data.sae(*selected()).weights.n_latents
    edited = parse_edits(found.get("e", ""))
    st.session_state["edits"] = {i: value for i, value in edited.items() if i < n_latents}
    st.session_state["mode"] = found.get("mode")
    search_choices.take_over(found, n_latents)


def write_address(whole: bool) -> None:
    """Put the choice into the address bar: all of it on the search page, corpus and SAE elsewhere."""
    wanted = address()
    if not whole:
        wanted = {name: wanted[name] for name in ("corpus", "sae")}
    for name in ADDRESS_NAMES:
        if name not in wanted:
            st.query_params.pop(name, None)
        elif st.query_params.get(name) != wanted[name]:
            st.query_params[name] = wanted[name]
    key = urlencode({name: wanted[name] for name in ADDRESS_NAMES if name in wanted})
    st.session_state["last_written"] = key
    st.session_state.setdefault("written", {})[key] = time.monotonic()


def feature_parameters(feature_id: int) -> dict[str, str]:
    """Parameters of a feature's page, for ``st.page_link(..., query_params=…)``."""
    corpus_name, sae_name = selected()
    return {"corpus": corpus_name, "sae": sae_name, "feature": str(int(feature_id))}


def feature_link(feature_id: int) -> str:
    """The address of a feature's page, with corpus and SAE."""
    return "features?" + urlencode(feature_parameters(feature_id))
