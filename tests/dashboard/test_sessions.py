"""Readers who steer at the same time: each sees his own list, and nothing that another one did."""

import asyncio
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.streamlit_client import ROOT, Session, serving

QUERIES = ("collisions between galaxies", "training neural networks", "bread and fermentation")


@pytest.fixture(scope="module")
def port(tiny_store: Path) -> Iterator[int]:
    with serving(ROOT / "dashboard" / "Home.py", tiny_store) as (found, _):
        yield found


async def _reader(port: int, query: str, part: float, turns: int) -> tuple[list[str], str, list[str]]:
    """What one reader sees at the end, the address, and the errors: a query, then a slider moved ``turns`` times."""
    async with Session(port) as session:
        await session.open()
        box = next(box for box in session.all("text_input") if box.text_input.label == "Query")
        await session.set(box, query)
        for turn in range(turns):
            await asyncio.sleep(0.05)
            await session.slide(session.all("slider")[0], part if turn % 2 == 0 else 0.5 + part / 4)
        await session.slide(session.all("slider")[0], part)
        return session.texts(), session.query_string, session.errors


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    """In a thread of its own: Playwright leaves a running event loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def test_readers_at_once_see_what_each_would_see_alone(port: int) -> None:
    places = [(query, part) for query in QUERIES for part in (0.2, 0.9)]

    async def together() -> list[tuple[list[str], str, list[str]]]:
        return await asyncio.gather(*(_reader(port, query, part, 4) for query, part in places))

    crowd = _run(together())
    addresses = [address for _, address, _ in crowd]
    assert len(set(addresses)) == len(places)
    for (query, part), (texts, address, errors) in zip(places, crowd, strict=True):
        assert not errors
        assert query.replace(" ", "+") in address
        alone = _run(_reader(port, query, part, 0))
        assert alone == (texts, address, [])
