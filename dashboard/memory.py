"""How the server uses memory, so that what it holds stays level. Import it before pyarrow.

Streamlit runs each answer in a thread of its own. glibc gives threads up to eight arenas a core, and mimalloc, which is
Arrow's default, one heap each; every one of them keeps the most that it was ever used for, so that a server grows for
hours. So threads share few arenas, which costs no time (Python's lock lets one thread work at once), and what is large
comes from the system and goes back there.
"""

import ctypes
import os
import sys
from contextlib import suppress

import streamlit as st

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # malloc.h
_LARGE = 256 << 10  # bytes; unless it is set, glibc raises it to 32 MB by itself
_ARENAS = 2

os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
if sys.platform == "linux":
    with suppress(AttributeError, OSError):  # another C library
        _mallopt = ctypes.CDLL(None).mallopt
        if "MALLOC_ARENA_MAX" not in os.environ:
            _mallopt(_M_ARENA_MAX, _ARENAS)
        if "MALLOC_MMAP_THRESHOLD_" not in os.environ:
            _mallopt(_M_MMAP_THRESHOLD, _LARGE)


def forget_widgets() -> None:
    """Forget the widgets that the session no longer shows; call at the start of a full run.

    Streamlit drops their values and keeps their descriptions as long as the session lasts: 12 kB for each slider of
    each query that was ever asked. Where it keeps them is no part of its interface, so that another version may have
    nothing to forget.
    """
    with suppress(AttributeError):
        state = st.runtime.scriptrunner.get_script_run_ctx().session_state._state  # type: ignore[union-attr]
        described = state._new_widget_state.widget_metadata
        for gone in described.keys() - state._keys():
            del described[gone]
