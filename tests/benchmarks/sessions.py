"""Many readers at once: they search, steer and browse one dashboard; beside them a bare Streamlit page.

    python tests/benchmarks/sessions.py STORE [--sessions 20] [--seconds 60] [--think 4] [--steer-only]

Each session waits between half and one and a half times ``--think`` seconds before its next move. A response is
counted from the message that a browser would send to the end of what it draws. Both servers run in this run, one
after the other, with equal numbers of sessions. Memory is read every second: it rises and falls by a tenth with how
many scripts are running, so growth is that of the median from the first fifth after the warm-up (half a minute, every
page opened) to the last. On a machine that others use, the server's processor time for a response says more than the
clock.
"""

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.benchmarks.streamlit_client import ROOT, Session, memory, processor_seconds, serving

BARE = 'import streamlit as st\n\nst.write("You chose", st.slider("Choose", 0.0, 1.0, 0.5))\n'
PAGES = ("features", "families", "splitting", "domains", "training", "evaluation", "about")
WORDS = (
    "learning", "graph", "noise", "model", "data", "images", "galaxy", "stars", "dust", "privacy", "time series",
    "spectra", "attention", "robust", "sparse", "quantum", "survey", "language", "causal", "missing values",
)  # fmt: skip
WARM_UP = 30.0

FIFTHS = 5

Times = dict[str, list[float]]
Memory = list[dict[str, float]]  # MB, one entry a second


async def _reader(port: int, number: int, until: Callable[[], float], arguments: argparse.Namespace,
                  times: Times, errors: list[str], bare: bool) -> None:  # fmt: skip
    chance = random.Random(number)
    await asyncio.sleep(chance.random() * arguments.think)
    try:
        async with Session(port) as session:
            times["first page"].append(await session.open())
            while time.monotonic() < until():
                await asyncio.sleep(arguments.think * (0.5 + chance.random()))
                kind = "steer" if bare else _choose(chance, session, arguments.steer_only)
                took = await _move(session, kind, chance)
                times[kind].append(took)
            errors += session.errors
    except Exception as error:  # whatever ends a session is a finding, not the end of the run
        errors.append(f"{type(error).__name__}: {error}")


def _choose(chance: random.Random, session: Session, steer_only: bool) -> str:
    if not session.all("slider") or not _query_box(session):
        return "back to search"
    if steer_only:
        return "steer"
    return chance.choices(("steer", "search", "browse"), (6, 2, 2))[0]


def _query_box(session: Session) -> bool:
    return any(box.text_input.label == "Query" for box in session.all("text_input"))


async def _move(session: Session, kind: str, chance: random.Random) -> float:
    if kind == "steer":
        return await session.slide(chance.choice(session.all("slider")), chance.random())
    if kind == "search":
        box = next(box for box in session.all("text_input") if box.text_input.label == "Query")
        return await session.set(
            box, f"{chance.choice(WORDS)} {chance.choice(WORDS)} {chance.randrange(1000)}"
        )
    if kind == "browse":
        return await session.open(chance.choice([page for page in PAGES if page in session.pages]))
    return await session.open()


async def _load(
    port: int, pid: int, arguments: argparse.Namespace, bare: bool
) -> tuple[Times, list[str], Memory]:
    warm: Times = defaultdict(list)
    times: Times = defaultdict(list)
    errors: list[str] = []
    if not bare:  # every page once, so that what is read lazily is there
        async with Session(port) as session:
            await session.open()
            for page in PAGES:
                if page in session.pages:
                    await session.open(page)
            errors += [f"while warming up: {error}" for error in session.errors]
    warmed = time.monotonic() + min(WARM_UP, arguments.seconds)
    end = warmed + arguments.seconds
    switch = {"into": warm}
    spent = {"from": 0.0}

    class Now(dict):  # type: ignore[type-arg]
        """Times go to the warm-up until it is over."""

        def __missing__(self, key: str) -> list[float]:
            return switch["into"][key]

    async def watch() -> None:
        await asyncio.sleep(max(0.0, warmed - time.monotonic()))
        switch["into"] = times
        spent["from"] = processor_seconds(pid)

    readers = [
        _reader(port, number, lambda: end, arguments, Now(), errors, bare)
        for number in range(arguments.sessions)
    ]
    measured: Memory = []
    sampling = asyncio.create_task(_sample(pid, warmed, measured))
    await asyncio.gather(watch(), *readers)
    sampling.cancel()
    used = processor_seconds(pid) - spent["from"]
    print(
        f"\nThe server used {1000 * used / max(1, sum(map(len, times.values()))):.0f} ms of a processor a response."
    )
    return times, errors, measured


async def _sample(pid: int, start: float, measured: Memory) -> None:
    """Memory once a second from ``start`` on."""
    await asyncio.sleep(max(0.0, start - time.monotonic()))
    while True:
        measured.append(memory(pid))
        await asyncio.sleep(1)


def _report(title: str, times: Times, errors: list[str], measured: Memory) -> None:
    print(f"\n{title}: {sum(map(len, times.values())):,} responses, {len(errors)} errors")
    for kind, found in sorted(times.items()):
        ranked = sorted(found)
        print(
            f"  {kind:<15} n {len(ranked):>5}  median {1000 * statistics.median(ranked):>6.0f} ms  "
            f"95 % {1000 * ranked[int(0.95 * (len(ranked) - 1))]:>6.0f} ms  longest {1000 * ranked[-1]:>6.0f} ms"
        )
    for name in ("resident", "own"):
        values = [found[name] for found in measured]
        parts = [
            statistics.median(values[len(values) * n // FIFTHS : len(values) * (n + 1) // FIFTHS])
            for n in range(FIFTHS)
        ]
        print(
            f"  memory, {name + ',':<9} in fifths of the run {', '.join(f'{part:.0f}' for part in parts)} MB, "
            f"peak {max(values):.0f}; growth {parts[-1] / parts[0] - 1:+.1%}"
        )
    for error in sorted(set(errors))[:10]:
        print(f"  error ×{errors.count(error)}: {error[:300]}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--think", type=float, default=4)
    parser.add_argument("--bare-seconds", type=float, default=30)
    parser.add_argument("--steer-only", action="store_true")
    arguments = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text(BARE, encoding="utf-8")
        short = argparse.Namespace(**vars(arguments) | {"seconds": arguments.bare_seconds})
        runs = (
            ("a bare Streamlit page", bare, None, short),
            ("dashboard", ROOT / "dashboard" / "Home.py", arguments.store, arguments),
        )
        for title, script, store, options in runs:
            with serving(script, store) as (port, pid):
                found = asyncio.run(_load(port, pid, options, bare=store is None))
            _report(
                f"{title}, {options.sessions} sessions, {options.seconds:g} s, thinking {options.think:g} s",
                *found,
            )
            failed += len(found[1])
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
