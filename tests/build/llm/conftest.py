from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from pytest_httpserver import HTTPServer

from build.llm.client import Client, ServerConfig
from build.llm.pace import Pace
from tests.build.llm.planted_labels import corpus, evidence, local, phrases, run  # noqa: F401 - fixtures
from tests.build.servers import CANARY


class MakeClient(Protocol):
    def __call__(self, purpose: str = "labels", budget_usd: float | None = None, **server: Any) -> Client: ...


@pytest.fixture(scope="module")
def make_httpserver() -> Iterator[HTTPServer]:
    """Answers several calls at once, as servers do."""
    server = HTTPServer(threaded=True)
    server.start()
    yield server
    server.clear()
    if server.is_running():
        server.stop()


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEXTANT_TEST_KEY", CANARY)


@pytest.fixture
def slept() -> list[float]:
    """The pauses that were asked for; nobody really waits."""
    return []


@pytest.fixture
def client(httpserver: HTTPServer, tmp_path: Path, slept: list[float]) -> Iterator[MakeClient]:
    """Makes clients that share one journal and never really sleep."""
    made: list[Client] = []

    def make(purpose: str = "labels", budget_usd: float | None = None, **server: Any) -> Client:
        now = [0.0]

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            now[0] += seconds

        settings = {"base_url": httpserver.url_for("/v1"), "key_env": "SEXTANT_TEST_KEY", "timeout": 5.0}
        batch, say = server.pop("batch", False), server.pop("say", lambda _: None)
        pace = Pace(server.get("per_minute"), clock=lambda: now[0], sleep=sleep)
        config = ServerConfig(**(settings | server))
        found = Client(config, tmp_path / "llm.sqlite", purpose, budget_usd, pace, batch, say)
        made.append(found)
        return found

    yield make
    for one in made:
        one.close()
