"""How the server asks the system for memory, so that what it holds stays level. Import it before pyarrow.

Streamlit runs each answer in a thread of its own. glibc gives threads up to eight arenas a core, and mimalloc, which is
Arrow's default, one heap each; every one of them keeps the most that it was ever used for, so that a server grows for
hours. Few arenas that all threads share are full of what is used, and cost no time: Python's lock lets one thread work
at once.
"""

import ctypes
import os
import sys
from contextlib import suppress

_M_ARENA_MAX = -8  # malloc.h
_ARENAS = 2

os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
if sys.platform == "linux" and "MALLOC_ARENA_MAX" not in os.environ:
    with suppress(AttributeError, OSError):  # another C library, which has no arenas
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)
