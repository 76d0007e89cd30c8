"""Every page of a store whose every text is hostile: shown, and no character passed on that hides or turns text."""

from pathlib import Path

import pytest

from tests.sae import hostile
from tests.sae.hostile_text import UNSEEN, poison
from tests.sae.pages import VIEWS, show


@pytest.fixture(scope="module")
def poisoned(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("poisoned")
    poison(hostile.small_store(tiny_store, root))
    return root


@pytest.mark.parametrize("view", VIEWS)
def test_a_page_shows_hostile_text_and_passes_nothing_unseen_on(
    view: str, poisoned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARTIFACTS", "")  # set back afterwards
    told = show(poisoned, view)
    assert told
    for text in told:
        # Plotly itself, inside a frame, holds \x85 in its own code.
        unseen = UNSEEN.replace("\x85", "") if text.startswith("iframe") else UNSEEN
        found = sorted(set(text) & set(unseen))
        at = text.find(found[0]) if found else 0
        assert not found, (found, text[:60], text[max(0, at - 60) : at + 60])
