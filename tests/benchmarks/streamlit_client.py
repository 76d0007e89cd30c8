"""A session without a browser: Streamlit's own messages over its websocket, as its front end would send them.

Kept are the elements that a browser would show, the values of widgets, and the address. Everything that a reader
would see as an error counts: exceptions, warnings of the page, a script that failed, a reply that does not come.
"""

import asyncio
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

ROOT = Path(__file__).parent.parent.parent
TIMEOUT = 60.0
_FAILED = (ForwardMsg.FINISHED_WITH_COMPILE_ERROR,)
_EARLY = ForwardMsg.FINISHED_EARLY_FOR_RERUN

Path_ = tuple[int, ...]


@dataclass
class Shown:
    """An element, the fragment that drew it ("" for none), and the run in which it was last drawn."""

    element: Element
    fragment: str
    run: int


@dataclass
class Session:
    """One reader. Use as ``async with Session(port) as session``."""

    port: int
    elements: dict[Path_, Shown] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)  # address of a page → its hash
    page: str = ""  # hash of the page that is open
    query_string: str = ""
    errors: list[str] = field(default_factory=list)
    _values: dict[str, Any] = field(default_factory=dict)
    _run: int = 0
    _socket: ClientConnection | None = None

    async def __aenter__(self) -> Self:
        self._socket = await connect(
            f"ws://localhost:{self.port}/_stcore/stream",
            subprotocols=["streamlit"],  # type: ignore[list-item]
            origin=f"http://localhost:{self.port}",  # type: ignore[arg-type]
            max_size=None,
            open_timeout=TIMEOUT,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket is not None:
            await self._socket.close()

    async def open(self, page: str = "", query_string: str = "") -> float:
        """Open a page by its address, or the first one; seconds until it is whole."""
        if page and page not in self.pages:
            await self.open()
        self._values.clear()
        self.page, self.query_string = self.pages.get(page, ""), query_string
        return await self._rerun()

    async def set(self, element: Element, value: Any) -> float:
        """Set a slider or a text field to what its widget sends; seconds until what it changes is drawn."""
        kind = element.WhichOneof("type")
        widget = getattr(element, kind)
        fragment = next((s.fragment for s in self.elements.values() if s.element is element), "")
        self._values[widget.id] = (kind, value)
        return await self._rerun(fragment)

    async def slide(self, element: Element, part: float) -> float:
        """Move a slider to a part of its way, 0 … 1; seconds until what it changes is drawn."""
        slider = element.slider
        if slider.options:  # a slider over words sends the word
            return await self.set(element, slider.options[round(part * (len(slider.options) - 1))])
        steps = round((slider.max - slider.min) / slider.step)
        return await self.set(element, slider.min + round(part * steps) * slider.step)

    def all(self, kind: str) -> list[Element]:
        """The elements of a kind, such as "slider", in the order of the page."""
        return [s.element for _, s in sorted(self.elements.items()) if s.element.WhichOneof("type") == kind]

    def texts(self) -> list[str]:
        """What the page says, in its order: Markdown and HTML."""
        found = []
        for _, shown in sorted(self.elements.items()):
            if shown.element.WhichOneof("type") in ("markdown", "html"):
                found.append(getattr(shown.element, str(shown.element.WhichOneof("type"))).body)
        return found

    async def _rerun(self, fragment: str = "") -> float:
        assert self._socket is not None
        self._run += 1
        message = BackMsg()
        state = message.rerun_script
        state.query_string, state.page_script_hash, state.fragment_id = self.query_string, self.page, fragment
        for name, (kind, value) in self._values.items():
            widget = state.widget_states.widgets.add(id=name)
            if kind == "slider" and isinstance(value, str):
                widget.string_array_value.data.append(value)
            elif kind == "slider":
                widget.double_array_value.data.append(value)
            else:
                widget.string_value = value
        started = time.perf_counter()
        await self._socket.send(message.SerializeToString())
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._until_finished()
        except TimeoutError:
            self.errors.append(f"no reply within {TIMEOUT:g} s")
        took = time.perf_counter() - started
        self._forget(fragment)
        return took

    async def _until_finished(self) -> None:
        assert self._socket is not None
        while True:
            raw = await self._socket.recv()
            message = ForwardMsg.FromString(raw if isinstance(raw, bytes) else raw.encode())
            kind = message.WhichOneof("type")
            if kind == "delta":
                self._drawn(message)
            elif kind == "navigation":
                self.pages = {
                    page.url_pathname: page.page_script_hash for page in message.navigation.app_pages
                }
                self.page = message.navigation.page_script_hash
            elif kind == "page_info_changed":
                self.query_string = message.page_info_changed.query_string
            elif kind == "session_event" and message.session_event.HasField("script_compilation_exception"):
                self.errors.append(message.session_event.script_compilation_exception.message)
            elif kind == "script_finished" and message.script_finished != _EARLY:
                if message.script_finished in _FAILED:
                    self.errors.append("the script could not be compiled")
                return

    def _drawn(self, message: ForwardMsg) -> None:
        path, delta = tuple(message.metadata.delta_path), message.delta
        if delta.WhichOneof("type") != "new_element":
            return
        element = delta.new_element
        kind = element.WhichOneof("type")
        if kind == "exception":
            self.errors.append(f"{element.exception.type}: {element.exception.message}")
        elif kind == "alert" and element.alert.format in (Alert.ERROR, Alert.WARNING):
            self.errors.append(element.alert.body)
        self.elements[path] = Shown(element, delta.fragment_id, self._run)
        if kind == "text_input" and element.text_input.set_value:
            self._values[element.text_input.id] = (kind, element.text_input.value)
        elif kind == "slider" and element.slider.set_value:
            found = element.slider.raw_value or element.slider.value or element.slider.default
            self._values[element.slider.id] = (kind, found[0])

    def _forget(self, fragment: str) -> None:
        """Drop what the last run did not draw again, of the whole page or of one fragment."""
        self.elements = {
            path: shown
            for path, shown in self.elements.items()
            if shown.run == self._run or (fragment and shown.fragment != fragment)
        }
        present = {
            getattr(s.element, str(s.element.WhichOneof("type"))).id
            for s in self.elements.values()
            if s.element.WhichOneof("type") in ("slider", "text_input")
        }
        self._values = {name: value for name, value in self._values.items() if name in present}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(script: Path, store: Path | str | None = None) -> Iterator[tuple[int, int]]:
    """Serve a Streamlit script: (port, process id) once it answers."""
    port = free_port()
    environment = os.environ | ({"ARTIFACTS": str(store)} if store else {})
    command = [
        sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port), "--server.headless", "true",
        "--server.fileWatcherType", "none", "--browser.gatherUsageStats", "false",
    ]  # fmt: skip
    server = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=2):
                    break
            except OSError:
                if server.poll() is not None:
                    raise RuntimeError(f"{script} could not be served") from None
                time.sleep(0.1)
        else:
            raise RuntimeError(f"{script} does not answer")
        yield port, server.pid
    finally:
        server.terminate()
        server.wait(20)


def memory(pid: int) -> dict[str, float]:
    """MB of a process: "resident" with mapped files, "own" without them."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    kilobytes = {
        line.split(":")[0]: int(line.split()[1]) for line in status.splitlines() if line.endswith("kB")
    }
    return {"resident": kilobytes["VmRSS"] / 1024, "own": kilobytes["RssAnon"] / 1024}


def processor_seconds(pid: int) -> float:
    """Processor time that a process has used: unlike the clock, hardly moved by what else the machine does."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
