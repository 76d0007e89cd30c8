"""A real server on the tiny store, and Chromium tabs that remember what went wrong in them."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    BrowserType,
    ConsoleMessage,
    Dialog,
    Page,
    sync_playwright,
)

ROOT = Path(__file__).parent.parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or "chromium"
# On an address below the root Streamlit's own page first asks there for these two, gets 404, and finds them
# at the root (streamlit issue 7074); nothing in an app can change that.
_PROBE = re.compile(r"/\w+/_stcore/(health|host-config)$")


@dataclass
class Server:
    """A running dashboard: its address and its process id."""

    url: str
    pid: int


@dataclass
class Tab:
    """A browser page with every console error, exception and request to another host that it has seen."""

    page: Page
    faults: list[str] = field(default_factory=list)

    def settle(self) -> None:
        """Wait until the server has answered: no run is going on and nothing shown is of an earlier one."""
        self.page.evaluate("window.quietSince = undefined")
        self.page.wait_for_function(
            """() => {
                const app = document.querySelector('[data-testid=stApp]')
                const still = app && app.dataset.testScriptState === 'notRunning'
                const drawn = document.querySelector('.stMain [data-testid=stElementContainer]')
                const quiet = still && drawn && !document.querySelector('[data-stale=true], .stSpinner')
                window.quietSince = quiet ? window.quietSince || Date.now() : undefined
                return quiet && Date.now() - window.quietSince > 400
            }""",
            timeout=60_000,
            polling=50,
        )

    def titles(self) -> list[str]:
        """Titles of the results, in order."""
        self.page.wait_for_selector(".sx-title", timeout=60_000)
        self.settle()
        return self.page.locator(".sx-title").all_inner_texts()


def watch(page: Page, url: str) -> list[str]:
    """What may never happen on a page of a hostile store: a request to another host than ``url``, a dialog, an
    exception. The list fills as they happen."""
    seen: list[str] = []
    own = (url, url.replace("http", "ws", 1), "data:", "blob:", "about:")

    def dialog_seen(dialog: Dialog) -> None:
        seen.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("request", lambda request: seen.extend([] if request.url.startswith(own) else [request.url]))
    page.on("dialog", dialog_seen)
    page.on("pageerror", lambda error: seen.append(f"exception: {error}"))
    return seen


@pytest.fixture(scope="session")
def server(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (tmp_path_factory.mktemp("server") / "log").open("w+")
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "dashboard/Home.py", f"--server.port={port}"],
        cwd=ROOT,
        env={**os.environ, "ARTIFACTS": str(tiny_store)},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    url = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(url + "_stcore/health", timeout=2)
                break
            except OSError:
                if process.poll() is not None:
                    log.seek(0)
                    pytest.fail(log.read())
                time.sleep(0.2)
        yield Server(url, process.pid)
    finally:
        process.terminate()
        process.wait(10)
        log.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[BrowserType]:
    with sync_playwright() as playwright:
        yield playwright.chromium


def _program() -> str | None:
    return CHROMIUM if Path(CHROMIUM).exists() else shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def browser(chromium: BrowserType) -> Iterator[Browser]:
    """A browser that remembers nothing from one context to the next."""
    launched = chromium.launch(executable_path=_program(), args=["--no-sandbox"])
    yield launched
    launched.close()


@pytest.fixture(scope="session")
def visited(chromium: BrowserType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """A browser that has been here before: it has Streamlit's scripts, some seconds of each first visit. Its profile is
    on the disk, since only there are scripts kept compiled: half of a processor's time for each page."""
    folder = tmp_path_factory.mktemp("visited")
    context = chromium.launch_persistent_context(folder, executable_path=_program(), args=["--no-sandbox"])
    yield context
    context.close()


@pytest.fixture
def open_tab(browser: Browser, visited: BrowserContext, server: Server) -> Iterator[Callable[..., Tab]]:
    """Open an address of the server in a new session, ``fresh`` in a browser that knows nothing of it; at the end no
    tab may have seen a fault."""
    tabs: list[Tab] = []

    def open_one(
        path: str = "",
        width: int = 1280,
        height: int = 900,
        scheme: Literal["light", "dark"] = "light",
        fresh: bool = False,
    ) -> Tab:
        tab = Tab((browser if fresh else visited).new_page())
        tab.page.set_viewport_size({"width": width, "height": height})
        tab.page.emulate_media(color_scheme=scheme)
        tabs.append(tab)
        host = urlsplit(server.url).netloc

        def request_seen(url: str) -> None:
            parts = urlsplit(url)
            if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != host:
                tab.faults.append(f"foreign request: {url}")

        def console_seen(message: ConsoleMessage) -> None:
            if message.type == "error" and not _PROBE.search(message.location.get("url", "")):
                tab.faults.append(f"console: {message.text} {message.location}")

        tab.page.on("request", lambda request: request_seen(request.url))
        tab.page.on("websocket", lambda socket: request_seen(socket.url))
        tab.page.on("pageerror", lambda error: tab.faults.append(f"exception: {error}"))
        tab.page.on("console", lambda message: console_seen(message))
        tab.page.goto(path if path.startswith("http") else server.url + path)
        tab.settle()
        return tab

    yield open_one
    faults = [fault for tab in tabs for fault in tab.faults]
    for tab in tabs:
        tab.page.close()
    assert not faults, faults
