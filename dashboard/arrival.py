"""A store that is still being fetched: one calm line of progress, and pages that open as their files arrive."""

import streamlit as st

from dashboard import served
from dashboard.text import safe_text
from sae.errors import UserError

_SECONDS = 2.0  # between looks at what has arrived


def waits() -> bool:
    """Whether files of the store are still on their way."""
    try:
        return served.arriving() is not None
    except UserError:
        return False


def show(waiting: bool = False) -> None:
    """How much has arrived; ``waiting`` when the page could not be shown for want of the rest."""
    if waits():
        _line(waiting)


@st.fragment(run_every=_SECONDS)
def _line(waiting: bool) -> None:
    fetch = served.arriving()
    if fetch is None:  # all is there: the page is drawn anew, with everything
        st.rerun()
        return
    if fetch.fault is not None:
        st.warning(safe_text(fetch.fault, limit=1000), icon=":material/info:")
        if st.button("Go on fetching"):
            served.fetch_again()
        return
    here = f"{fetch.done / 1e6:,.0f} of {fetch.total / 1e6:,.0f} MB of the store have arrived"
    if waiting:
        st.info(f"{here}. This page opens when what it shows is there.", icon=":material/downloading:")
        _rerun_when_more_is_here(fetch.done)
    else:
        st.caption(f"{here}; pages open as their parts do.")


def _rerun_when_more_is_here(done: int) -> None:
    """Try the page again when a tenth more of the store has come since it was tried."""
    fetch = served.arriving()
    before = st.session_state.setdefault("arrived", done)
    if fetch is not None and done - before > fetch.total / 20:
        st.session_state["arrived"] = done
        st.rerun()
