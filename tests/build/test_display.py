"""Progress as lines: sensible words, honest time left."""

import pytest

from build import display


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.44, "0.4 s"), (12.3, "12 s"), (99.6, "100 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations(seconds: float, words: str) -> None:
    assert display.duration(seconds) == words


def test_time_left_counts_only_what_this_run_did(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    shown = display.Display(plain=True)
    with shown.task("[1/2]", "embed", "documents") as progress:
        now[0] += 60  # preparing is no work done
        progress(500, 1000, "")  # resumed: half was done before
        now[0] += 10
        progress(600, 1000, "118 documents/s")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2] == "[1/2] embed: 600 of 1,000 documents (60%, 40 s left) · 118 documents/s"
    assert lines[-1] == "[1/2] embed: done in 70 s"


def test_shares_of_a_whole_count_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    with display.Display(plain=True).task("[1/2]", "labels", "") as progress:
        progress(0, 1000, "")
        now[0] += 10
        progress(250, 1000, "SAE4 evidence")
    assert capsys.readouterr().out.splitlines()[1] == "[1/2] labels: 25%, 30 s left · SAE4 evidence"
