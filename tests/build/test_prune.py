"""Old builds go when they are asked to; the served one, what it was made from, and the cache never do."""

import json
import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from build import prune as module
from build.prune import prune
from sae import schema
from sae.errors import UserError
from sae.storage.manifest import damages, read_manifest
from sae.store import open_store
from tests.sae import hostile


@pytest.fixture
def out(tiny_store: Path, tmp_path: Path) -> Path:
    """Four builds, one a minute, the third of them served; each with a stage output of its own."""
    out = tmp_path / "store"
    made = hostile.small_store(tiny_store, out)
    (out / "work" / "cache").mkdir(parents=True)
    (out / "work" / "cache" / "embeddings.sqlite").write_bytes(b"paid for")
    for stage in read_manifest(made).stages:
        (out / "work" / "stages" / f"{stage['name']}-{stage['key']}").mkdir(parents=True)
    for number in range(4):
        build = out / schema.BUILDS / f"build{number}"
        shutil.copytree(made, build, copy_function=os.link)
        raw = json.loads((made / schema.MANIFEST).read_text()) | {"build": build.name}
        raw.pop("checksum", None)
        raw["stages"].append({"name": "own", "for": "", "key": str(number), "seconds": 1.0})
        (build / schema.MANIFEST).unlink()
        (build / schema.MANIFEST).write_text(json.dumps(raw))
        own = out / "work" / "stages" / f"own-{number}"
        own.mkdir()
        (own / "data").write_bytes(b"x" * 1000)
        for path in (own, build, build / schema.MANIFEST):
            os.utime(path, (1e9 + 60 * number, 1e9 + 60 * number))
    shutil.rmtree(made)
    (out / schema.CURRENT).write_text("build2\n")
    return out


def builds(out: Path) -> list[str]:
    return sorted(path.name for path in (out / schema.BUILDS).iterdir())


def own(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "work" / "stages").glob("own-*"))


def test_the_last_builds_and_the_served_one_stay(out: Path) -> None:
    (out / schema.BUILDS / "half.partial").mkdir()
    removed, freed = prune(out, keep=2)
    assert removed == ["build0", "build1"]
    assert builds(out) == ["build2", "build3"]
    assert own(out) == ["own-2", "own-3"]
    manifests = 2 * (out / schema.BUILDS / "build2" / schema.MANIFEST).stat().st_size
    assert abs(freed - manifests - 2 * 1000) < 100  # all else is linked from the builds that stay
    assert (out / "work" / "cache" / "embeddings.sqlite").read_bytes() == b"paid for"
    store = open_store(out)
    assert next(damages(store.path, store.manifest), None) is None
    needed = {f"{stage['name']}-{stage['key']}" for stage in store.manifest.stages}
    assert needed <= {path.name for path in (out / "work" / "stages").iterdir()}


def test_one_kept_is_the_served_one_even_if_a_later_one_is_there(out: Path) -> None:
    assert prune(out, keep=1)[0] == ["build0", "build1", "build3"]
    assert builds(out) == ["build2"]
    assert own(out) == ["own-2"]


def test_what_a_stopped_build_has_done_stays(out: Path) -> None:
    """Stage outputs of no build: older than the served one they are left-overs, newer ones are work in progress."""
    old, new = (out / "work" / "stages" / name for name in ("own-left-over", "own-going-on"))
    for path in (old, new):
        path.mkdir()
    os.utime(old, (1e9, 1e9))
    prune(out, keep=4)
    assert own(out) == ["own-0", "own-1", "own-2", "own-3", "own-going-on"]
    assert len(builds(out)) == 4


def test_it_says_what_went(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (out / schema.BUILDS / "half.partial").mkdir()
    (out / schema.BUILDS / "half.partial" / "data").write_bytes(bytes(2_000_000))
    said = []
    for keep in (9, 9, 2):
        module.main(out, keep)
        said.append(" ".join(capsys.readouterr().out.split()))
    assert said[0].endswith("every build stays; 2.0 MB of work freed that belongs to no build.")
    assert said[1].endswith("there is nothing to remove.")
    assert "removed build0, build1; " in said[2]


def test_a_damaged_old_build_goes_too(out: Path) -> None:
    (out / schema.BUILDS / "build0" / schema.MANIFEST).write_text("{")
    os.utime(out / schema.BUILDS / "build0", (1e9, 1e9))
    assert "build0" in prune(out)[0]
    assert read_manifest(out / schema.BUILDS / "build2").build == "build2"


def test_nothing_goes_while_the_served_build_cannot_say_what_it_needs(out: Path) -> None:
    (out / schema.BUILDS / "build2" / schema.MANIFEST).write_text("{")
    with pytest.raises(UserError, match="damaged"):
        prune(out, keep=1)
    assert len(builds(out)) == len(own(out)) == 4


def test_a_build_that_ends_meanwhile_is_the_served_one(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class SlowLock(FileLock):
        def acquire(self, *args: object, **named: object) -> object:  # type: ignore[override]
            (out / schema.CURRENT).write_text("build3\n")
            return super().acquire(*args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "FileLock", SlowLock)
    prune(out, keep=1)
    assert builds(out) == ["build3"]


def test_what_a_file_manager_left_is_no_build(out: Path) -> None:
    left = [out / place / ".DS_Store" for place in (schema.BUILDS, "work/stages")]
    for path in left:
        path.write_bytes(b"seen")
        os.utime(path, (1e9, 1e9))
    assert prune(out, keep=2)[0] == ["build0", "build1"]
    assert all(path.exists() for path in left)


def test_it_waits_for_nobody_and_needs_a_served_build(out: Path, tmp_path: Path) -> None:
    with FileLock(out / "work" / "lock"), pytest.raises(UserError, match="when that has ended"):
        prune(out)
    with pytest.raises(UserError, match="serves no build"):
        prune(tmp_path / "nothing")
    assert len(builds(out)) == 4
