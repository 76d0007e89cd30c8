# ruff: noqa: N999 - the name shows in `streamlit run dashboard/Home.py`
"""The entry point: navigation, the shared frame, and errors as sentences."""

import sys
from pathlib import Path

_ROOT = str(Path(__file__).resolve().parent.parent)
if _ROOT not in sys.path:  # `streamlit run` puts only this file's folder there
    sys.path.insert(0, _ROOT)

from dashboard import memory  # noqa: E402, I001 - before anything that brings Arrow along
import streamlit as st  # noqa: E402

from dashboard import arrival, frame, state  # noqa: E402

st.set_page_config(page_title="Sextant", page_icon=str(Path(__file__).parent / "icon.svg"), layout="wide")

VIEWS = ("search", "features", "families", "splitting", "domains", "training", "evaluation", "about")
_FOLDER = Path(__file__).parent / "views"
PAGES = [
    st.Page(f"views/{name}.py", title=name.capitalize(), url_path=name, default=name == VIEWS[0])
    for name in VIEWS
    if (_FOLDER / f"{name}.py").is_file()
]
page = st.navigation(PAGES, position="top")

memory.forget_widgets()
with frame.calm():
    state.follow_build()
    state.read_address()
    frame.tell_not_here()
    page.run()
    arrival.show()
    state.write_address(whole=page == PAGES[0])
