"""What every page shares: the heading with the corpus and SAE switches, and errors as one calm sentence."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from dashboard import arrival, data, state
from dashboard.text import plain_text, safe_text
from sae.errors import UserError

_LONGEST_TITLE = 20  # characters; a longer one is cut by its box, so the name stands there instead
# Streamlit's own button above a table saves its texts as they are, a spreadsheet's formulas among them; the button
# below each table does not (dashboard.tables). It is known by its English label alone, which another version of
# Streamlit may change: test_tables_are_saved_by_our_own_button_alone in tests/browser/test_linked.py would say so.
_NO_RAW_CSV = (
    '<style>[data-testid="stElementToolbarButton"]:has([aria-label^="Download as CSV"]){display:none}</style>'
)
_COMMAND = re.compile(r"[\w =./-]{1,80}")


@contextmanager
def calm() -> Iterator[None]:
    """Show a UserError raised inside as one message that says what mends it, and go on without it."""
    try:
        yield
    except UserError as error:
        if arrival.waits():
            arrival.show(waiting=True)
        else:
            st.warning(_with_commands(str(error)), icon=":material/info:")


def _with_commands(sentence: str) -> str:
    """Markdown for a sentence in which commands stand between backquotes."""
    shown = []
    for i, part in enumerate(sentence.split("`")):
        if i % 2 and _COMMAND.fullmatch(part):
            shown.append(f"`{part}`")
        else:
            before, after = part[: len(part) - len(part.lstrip())], part[len(part.rstrip()) :]
            shown.append(before + safe_text(part, limit=1000) + (after if part.strip() else ""))
    return "".join(shown)


def tell_not_here() -> None:
    """Say so when the link that was opened names a corpus or a model that is not here."""
    if sentence := state.not_here():
        st.warning(sentence, icon=":material/info:")


def header(title: str, sentence: str, *, models: bool = True) -> None:
    """A page's title and the sentence under it at the left, the corpus and SAE switches at the right; without
    ``models`` that of the corpus alone, for a page that shows all models."""
    st.html(_NO_RAW_CSV)
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left:
        st.title(title, anchor=False)
        st.caption(sentence)
    with right:
        _switches(models)


def _switches(models: bool) -> None:
    corpus_name, sae_name = state.selected()
    corpora = data.store().corpora
    saes = data.corpus(corpus_name).saes
    # Widgets follow the session, never the other way round: a link or another page may have changed it.
    st.session_state["switch-corpus"] = corpus_name
    if models:
        st.session_state["switch-sae"] = sae_name
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.selectbox(
            "Corpus",
            corpora,
            key="switch-corpus",
            format_func=_corpus_title,
            on_change=_switched,
            help="The documents that are searched.",
        )
        if models:
            st.selectbox(
                "Model",
                saes,
                key="switch-sae",
                format_func=lambda name: _sae_title(corpus_name, name),
                on_change=_switched,
                help="The sparse autoencoder whose features steer the search: k features are active in a text, "
                "of n that it knows.",
            )


def _switched() -> None:
    corpus_name = st.session_state["switch-corpus"]
    sae_name = st.session_state.get("switch-sae", state.selected()[1])
    saes = data.corpus(corpus_name).saes
    # A family, and the concept that splitting starts from, are others under the same number elsewhere.
    st.query_params.pop("family", None)
    if corpus_name != state.selected()[0]:
        st.query_params.pop("start", None)
    state.select(corpus_name, sae_name if sae_name in saes else saes[0])


def _corpus_title(name: str) -> str:
    reader = data.corpus(name)
    title = plain_text(reader.facts.get("title"))
    return f"{title if title and len(title) <= _LONGEST_TITLE else name} · {reader.n_documents:,}"


def _sae_title(corpus_name: str, name: str) -> str:
    facts = data.sae(corpus_name, name).facts
    if "k" in facts and "n_latents" in facts:
        return f"{name} · {facts['k']} of {facts['n_latents']:,}"
    return name
