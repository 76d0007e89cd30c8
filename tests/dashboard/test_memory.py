"""Memory stays level only if all threads share few heaps: Arrow's and the C library's are looked at in a process."""

import subprocess
import sys
from pathlib import Path

from tests.dashboard.search_app import Open, page, top

__all__ = ["page"]  # a fixture
ROOT = Path(__file__).parent.parent.parent
_THREADS = """
import dashboard.Home  # as Streamlit starts it
import ctypes, re, threading
import pyarrow
together, blocks = threading.Barrier(12), []

def work():
    together.wait()
    blocks.append([bytearray(50_000) for _ in range(20)])
    together.wait()

threads = [threading.Thread(target=work) for _ in range(12)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
libc = ctypes.CDLL(None)
if hasattr(libc, "malloc_info"):
    libc.fopen.restype = ctypes.c_void_p
    file = ctypes.c_void_p(libc.fopen(b"arenas.xml", b"w"))
    libc.malloc_info(0, file)
    libc.fclose(file)
    arenas = len(re.findall("<heap nr=", open("arenas.xml").read()))
else:
    arenas = 1
print(pyarrow.default_memory_pool().backend_name, arenas)
"""


def test_threads_share_few_heaps(tiny_store: Path, tmp_path: Path) -> None:
    environment = {
        "ARTIFACTS": str(tiny_store),
        "PYTHONPATH": str(ROOT),
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
    }
    command = [sys.executable, "-c", _THREADS]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    pool, arenas = done.stdout.split()
    assert pool == "system"
    assert int(arenas) <= 4


def test_what_a_session_no_longer_shows_is_forgotten(page: Open) -> None:
    app, shown = page(), []
    for query in (
        "training neural networks",
        "bread and fermentation",
        "a midfield pass",
        "damages for delay",
    ):
        app.text_input[0].set_value(query).run()
        shown.append(len(app.select_slider))
    described = app._session_state._state._new_widget_state.widget_metadata
    sliders = [name for name in described if "-slider-" in name]
    # Those of this run, and of the one before, which go at the start of the next.
    assert shown[-1] <= len(sliders) <= shown[-2] + shown[-1] < sum(shown)
    slider = app.select_slider[0]
    slider.set_value(top(slider)).run()
    app.run()
    assert app.select_slider[0].value == top(slider)
