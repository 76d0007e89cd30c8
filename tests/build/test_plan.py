"""Keys: what decides a result is in them, and what does not is not."""

from dataclasses import replace

import pytest

from build import finish, plan, source
from build.config import BuildConfig, load_profile
from build.plan import build_name, make_plan, only
from sae.errors import UserError

D_IN = 384


def keys(config: BuildConfig) -> dict[str, str]:
    return {job.title: job.key for job in make_plan(config, D_IN)}


@pytest.fixture(scope="module")
def tiny() -> BuildConfig:
    return load_profile("tiny")


def test_every_input_comes_before_its_reader(tiny: BuildConfig) -> None:
    seen: set[str] = set()
    for job in make_plan(tiny, D_IN):
        assert {needed.key for needed in job.inputs} <= seen
        assert {needed.stage.name for needed in job.inputs} == set(job.stage.reads)
        seen.add(job.key)


def test_equal_configurations_have_equal_keys(tiny: BuildConfig) -> None:
    assert keys(tiny) == keys(load_profile("tiny"))


def test_training_settings_leave_documents_and_embeddings_alone(tiny: BuildConfig) -> None:
    before, after = keys(tiny), keys(replace(tiny, training=tiny.training | {"steps": 7}))
    changed = {title.split()[0] for title in before if before[title] != after[title]}
    assert {"train", "encode", "statistics", "labels", "features"} <= changed
    assert not changed & {"documents", "embeddings", "queries", "query_encoder"}


def test_a_change_of_code_reaches_what_imports_it(tiny: BuildConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys(tiny)
    original = source.source_hash

    def touched(module: str) -> str:
        changed = source.ROOT / "sae" / "structure" / "cooccurrence.py" in source.needed(module)
        return original(module) + ("changed" if changed else "")

    monkeypatch.setattr(plan, "source_hash", touched)
    changed = {title.split()[0] for title, key in keys(tiny).items() if key != before[title]}
    assert {"statistics", "features"} <= changed
    assert not changed & {"documents", "embeddings", "train"}


def test_imports_inside_functions_and_packages_count() -> None:
    train = {path.name for path in source.needed("build.train")}
    assert {"train.py", "kernels.py", "fast.py", "schema.py", "arrays.py"} <= train
    assert "minilm.py" in {path.name for path in source.needed("build.embeddings")}


def test_a_new_version_of_a_package_rebuilds(tiny: BuildConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys(tiny)
    monkeypatch.setattr(plan, "versions", lambda: {"torch": "99"})
    assert all(before[title] != key for title, key in keys(tiny).items())


def test_title_and_licence_are_part_of_the_build_and_of_no_stage(tiny: BuildConfig) -> None:
    jobs = make_plan(tiny, D_IN)
    assert keys(tiny) == keys(replace(tiny, title="Another"))
    assert build_name(jobs, {"title": "a"}) != build_name(jobs, {"title": "b"})


def test_only_takes_a_stage_and_what_it_needs(tiny: BuildConfig) -> None:
    names = {job.stage.name for job in only(make_plan(tiny, D_IN), "train")}
    assert names == {"documents", "embeddings", "noise", "train"}
    with pytest.raises(UserError, match="documents"):
        only(make_plan(tiny, D_IN), "nothing")


def test_two_saes_with_one_k_are_refused(tiny: BuildConfig) -> None:
    with pytest.raises(UserError, match="same k"):
        make_plan(replace(tiny, saes=(tiny.saes[0], tiny.saes[0])), D_IN)


def test_a_manifest_holds_no_folder_address_or_password_of_the_builder() -> None:
    config = {
        "overrides": "/home/me/x.csv",
        "evaluation": {"files": {"cs": "/home/me/q.csv"}},
        "corpora": [{"source": {"kind": "arxiv", "contact": "me@x.org", "path": "data/papers.csv"}}],
        "embedder": {"base_url": "https://me:secret@host/v1", "dimensions": None},
        "seed": 3,
    }
    assert finish._shareable(config) == {
        "overrides": "x.csv",
        "evaluation": {"files": {"cs": "q.csv"}},
        "corpora": [{"source": {"kind": "arxiv", "path": "papers.csv"}}],
        "embedder": {"base_url": "https://host/v1"},
        "seed": 3,
    }
