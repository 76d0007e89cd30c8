"""The notebook's way in, and the code that README shows."""

import datetime
import re
from pathlib import Path

import pytest

from sae.errors import UserError
from sae.store import open_store
from sae.workbench import Workbench

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def bench(tiny_store: Path) -> Workbench:
    return Workbench(tiny_store, "planted", open_store(tiny_store).corpus("planted").saes[0])


def test_everything_that_the_page_can_do(bench: Workbench) -> None:
    concepts = bench.ask("collisions between galaxies")
    assert (concepts["activation"] > 0).all()
    plain = bench.results()
    assert plain["before"].tolist() == list(range(1, 11))
    strongest = int(concepts["feature"][0])
    for mode in ("direct", "reconstruction", "optimised"):
        for direction in ("feature", "family", "typical"):
            bench.steer({strongest: 3 * concepts["activation"][0]}, mode, direction)
            found = bench.results(5)
            parts = bench.why(int(found["document"].iloc[0]))
            assert parts["part"].sum() == pytest.approx(found["cosine"].iloc[0], abs=1e-5)
    assert strongest not in bench.side_effects()["feature"].tolist()
    last = int(bench.results()["document"].iloc[-1])
    bench.steer({})
    assert bench.results()["document"].tolist() == plain["document"].tolist()
    for more in (True, False):
        moves = bench.like(last, more)
        assert all(isinstance(f, int) for f in moves)
        bench.steer(moves)
    assert bench.results(first=datetime.date(2990, 1, 1)).empty
    assert bench.find(bench.labels[strongest])["feature"].tolist().count(strongest) == 1


def test_a_family_is_moved(bench: Workbench) -> None:
    bench.ask("collisions between galaxies")
    assert bench.steer({}, families={0: 2.0}).fidelity <= 1


def test_what_is_not_there_is_said_in_a_sentence(bench: Workbench) -> None:
    for too_early in (lambda: bench.steer({}), bench.results, lambda: bench.why(0), lambda: bench.like(0)):
        with pytest.raises(UserError, match="call ask first"):
            too_early()
    bench.ask("collisions between galaxies")
    with pytest.raises(UserError, match="no family 9999"):
        bench.steer({}, families={9999: 1.0})
    for missing in (lambda: bench.why(-1), lambda: bench.like(10**6)):
        with pytest.raises(UserError, match="no document"):
            missing()


def test_without_the_model_words_are_refused(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(bench.corpus.store), "query_encoder", None)
    with pytest.raises(UserError, match="give a vector"):
        bench.ask("words")
    assert len(bench.ask(bench.corpus.embeddings[0]))


def test_the_code_in_readme_runs(tiny_store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    section = README.read_text(encoding="utf-8").split("## From a notebook")[1].split("\n## ")[0]
    blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert blocks
    corpus = open_store(tiny_store).corpus("planted")
    for block in blocks:
        here = block.replace('"artifacts"', repr(str(tiny_store))).replace('"python-data"', '"planted"')
        exec(here.replace('"SAE8"', repr(corpus.saes[0])), {})
    assert capsys.readouterr().out
