"""Pages of a store in this process: what each of them says, without a browser."""

import os
from pathlib import Path

import streamlit as st
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).parent.parent.parent
HOME = str(ROOT / "dashboard" / "Home.py")
VIEWS = [path.name for path in sorted((ROOT / "dashboard" / "views").glob("*.py")) if path.stem != "__init__"]
_TIMEOUT = 3600  # what hangs is seen by whoever calls, who may have been stopped for minutes


def show(store: Path, view: str) -> list[str]:
    """The texts, numbers and tables of a page, nothing of them from a cache. Raises AssertionError on a traceback."""
    os.environ["ARTIFACTS"] = str(store)
    st.cache_data.clear()
    st.cache_resource.clear()
    app = AppTest.from_file(HOME, default_timeout=_TIMEOUT)
    app.switch_page(f"views/{view}").run()
    assert not app.exception, [f"{e.message} {e.value}" for e in app.exception]
    told = []
    for element in app.main:
        value = getattr(element, "value", None)
        proto = getattr(element, "proto", None)
        told.append(f"{element.type}: {value if value is not None else proto}")
    return told
