"""Publishing: what was published is what is opened; the switch comes last; nothing is sent without being asked."""

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from typer.testing import CliRunner

from build import publish as publishing
from build.card import card, plain
from build.publish import Files, make_target, publish
from sae import schema
from sae.errors import UserError
from sae.store import Store, open_store
from tests.sae import hostile


@pytest.fixture(scope="module")
def store(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    root = tmp_path_factory.mktemp("to-publish")
    hostile.small_store(tiny_store, root)
    return open_store(root)


def run(*arguments: str) -> Any:
    import typer

    app = typer.Typer()
    app.command()(publishing.main)
    return CliRunner().invoke(app, list(arguments))


def test_nothing_is_sent_without_being_asked(store: Store, tmp_path: Path) -> None:
    done = run(str(store.path), str(tmp_path / "to"))
    assert done.exit_code == 0, done.output
    assert "Nothing was sent" in done.output
    assert not (tmp_path / "to").exists()


def test_a_place_must_be_named(store: Store) -> None:
    done = run(str(store.path), "", "--yes")
    assert done.exit_code == 1
    assert "Nowhere is named" in done.output


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_what_was_published_is_what_is_opened(store: Store, tmp_path: Path, prefix: str) -> None:
    done = run(str(store.path), f"{prefix}{tmp_path / 'to'}", "--yes")
    assert done.exit_code == 0, done.output
    found = open_store(f"{tmp_path / 'to'}#sha256={store.digest}")
    assert found.manifest == store.manifest
    assert not list((tmp_path / "to").rglob("*.partial"))


def test_any_fsspec_target(store: Store) -> None:
    import fsspec

    publish(store, make_target("memory://published"), "card")
    files = fsspec.filesystem("memory")
    assert files.cat("/published/CURRENT").decode().strip() == store.manifest.build
    name = next(iter(store.manifest.files))
    assert files.cat(f"/published/builds/{store.manifest.build}/{name}") == (store.path / name).read_bytes()


def test_an_interrupted_run_goes_on_and_shows_nothing_by_halves(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    send = Files._send

    def fail_after(n: int) -> None:
        def one(self: Files, path: str, fill: Any) -> None:
            if len(sent) >= n:
                raise OSError(28, "No space left on device")
            sent.append(path)
            send(self, path, fill)

        monkeypatch.setattr(Files, "_send", one)

    fail_after(10)
    with pytest.raises(UserError, match="is full"):
        publish(store, make_target(str(tmp_path / "to")), "card")
    with pytest.raises(UserError, match="No finished build"):
        open_store(tmp_path / "to")
    fail_after(10**6)
    publish(store, make_target(str(tmp_path / "to")), "card")
    assert len(sent) == len(set(sent))  # nothing is sent twice
    assert sent[-2:] == ["README.md", schema.CURRENT]
    assert open_store(tmp_path / "to").manifest == store.manifest


def test_a_dataset_is_one_commit_with_the_token_from_the_environment(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, Any]] = []

    class Api:
        def __init__(self, token: str) -> None:
            calls.append(("token", token))

        def create_repo(self, name: str, **options: Any) -> None:
            calls.append(("repo", name))

        def create_commit(self, name: str, operations: list[Any], **options: Any) -> None:
            calls.append(("commit", [operation.path_in_repo for operation in operations]))

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.delenv(publishing.TOKEN, raising=False)
    with pytest.raises(UserError, match=publishing.TOKEN):
        publish(store, make_target("hf://datasets/some/data"), "card")
    monkeypatch.setenv(publishing.TOKEN, "of-the-test")
    publish(store, make_target("hf://datasets/some/data"), "card")
    assert [name for name, _ in calls] == ["token", "repo", "commit"]
    paths = calls[-1][1]
    assert len(paths) == len(store.manifest.files) + 3
    assert "CURRENT" in paths


@pytest.mark.parametrize("to", ["https://example.com/x", "hf://models/a", "hf://datasets/a", "nothing://x"])
def test_targets_that_are_none(to: str) -> None:
    with pytest.raises(UserError):
        make_target(to)


def test_the_card_says_what_there_is_and_means_nothing_by_accident(store: Store) -> None:
    text = card(store, "hf://datasets/some/data")
    for part in ("license:", f"{store.corpus('planted').n_documents:,}", "SAE3", store.digest, "2408.00657"):
        assert part in text
    assert f"Sextant build {store.manifest.build}" in text  # it says how to cite the build itself
    assert plain("a|b\n<img> [x](y) `z`") == "a\\|b \\<img\\> \\[x\\](y) \\`z\\`"
