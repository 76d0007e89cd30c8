"""Stores at addresses: fetched once, resumed, checked; a server that lies or dies costs a sentence."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from build.bundle import write_bundle
from build.display import Display
from build.verify import verify
from sae import schema
from sae.errors import UserError
from sae.storage import download, remote
from sae.storage.bundle import CACHE_VARIABLE
from sae.storage.fetch import by_need
from sae.storage.manifest import file_sha256
from sae.store import open_store
from tests.sae import hostile
from tests.sae.address_server import Server, serving
from tests.sae.opening import leave_no_room, opened_at_once

ONE_FILE = f"{hostile.CORPUS}/{schema.EMBEDDINGS}"


@pytest.fixture(scope="module")
def published(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("published")
    hostile.small_store(tiny_store, root)
    write_bundle(open_store(root), root / "tiny.sextant")
    return root


@pytest.fixture
def server(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(download, "WAIT", 0.01)
    with serving(published) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


def addresses(server: Server, published: Path) -> dict[str, str]:
    name = hostile.build_of(published).name
    return {
        "an artifacts folder": server.url,
        "one build": f"{server.url}/builds/{name}",
        "a bundle": f"{server.url}/tiny.sextant",
        "a dataset": "hf://datasets/some/data",
        "a pinned dataset": f"hf://datasets/some/data@{'a' * 40}",
        "a folder of a dataset": f"hf://datasets/some/data@main/builds/{name}",
    }


KINDS = (
    "an artifacts folder",
    "one build",
    "a bundle",
    "a dataset",
    "a pinned dataset",
    "a folder of a dataset",
)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_address_opens_what_was_published(kind: str, server: Server, published: Path) -> None:
    address = addresses(server, published)[kind]
    one, other = open_store(published), open_store(address)
    assert one.manifest == other.manifest
    assert one.corpus(hostile.CORPUS).documents([2]).equals(other.corpus(hostile.CORPUS).documents([2]))
    files = len([path for path, _ in server.asked if path.endswith(ONE_FILE) or path.endswith(".sextant")])
    assert verify(address, Display(plain=True)) == 0
    again = len([path for path, _ in server.asked if path.endswith(ONE_FILE) or path.endswith(".sextant")])
    assert again - files == (
        1 if kind == "a bundle" else 0
    )  # its headers are looked at, nothing is fetched twice


def test_what_is_in_the_cache_opens_when_the_server_is_gone(server: Server, published: Path) -> None:
    first = open_store(server.url)
    server.faults[""] = "status 500"
    assert open_store(server.url).path == first.path


def test_features_come_before_documents_and_the_folder_opens_meanwhile(server: Server) -> None:
    fetch = remote.begin(server.url)
    order = list(by_need(fetch.manifest))
    assert order.index(f"{hostile.ONE}/{schema.FEATURES}") < order.index(
        f"{hostile.CORPUS}/{schema.DOCUMENTS}"
    )
    server.gate.clear()
    server.faults[schema.DOCUMENTS] = server.faults[ONE_FILE] = "gate"
    running = threading.Thread(target=fetch.run)
    running.start()
    try:
        for _ in range(1000):
            if fetch.here(f"{hostile.ONE}/{schema.FEATURES}"):
                break
            running.join(0.02)
        store = open_store(fetch.folder, check_sizes=False)
        assert store.corpus(hostile.CORPUS).sae(hostile.SAE).features().num_rows
        with pytest.raises(UserError, match="is missing"):
            store.corpus(hostile.CORPUS).documents([0])
        assert 0 < fetch.done < fetch.total
        assert not fetch.finished
    finally:
        server.gate.set()
        running.join(30)
    assert fetch.finished
    assert store.corpus(hostile.CORPUS).documents([0]).num_rows == 1


def test_a_fetch_that_was_cut_goes_on_where_it_stopped(server: Server) -> None:
    server.faults[ONE_FILE] = "cut"
    with pytest.raises(UserError, match="could not be fetched"):
        open_store(server.url)
    server.faults.clear()
    server.asked.clear()
    open_store(server.url)
    ranges = [asked for path, asked in server.asked if path.endswith(ONE_FILE)]
    assert len(ranges) == 1
    assert ranges[0].startswith("bytes=")
    assert len(server.asked) < 20  # what had arrived was kept


@pytest.mark.parametrize("fault", ["once", "no range"])
def test_passing_faults_pass(server: Server, fault: str) -> None:
    server.faults[ONE_FILE] = fault
    assert open_store(server.url).corpora == (hostile.CORPUS,)


FAULTS = {
    "endless": (ONE_FILE, "endless"),
    "endless manifest": (schema.MANIFEST, "endless"),
    "endless CURRENT": (schema.CURRENT, "endless"),
    "longer": (ONE_FILE, "longer"),
    "shorter": (ONE_FILE, "shorter"),
    "other bytes": (ONE_FILE, "other bytes"),
    "a loop": (ONE_FILE, "redirect HERE"),
    "a loop at the start": (schema.CURRENT, "redirect HERE"),
    "to a file": (schema.CURRENT, "redirect file:///etc/passwd"),
    "to ftp": (schema.CURRENT, "redirect ftp://127.0.0.1/x"),
    "to plain http": (schema.CURRENT, "redirect http://192.0.2.1/x"),
    "a page instead of CURRENT": (schema.CURRENT, "html"),
    "a page instead of a manifest": (schema.MANIFEST, "html"),
    "a page instead of a file": (schema.FEATURES, "html"),
    "slow": (schema.MANIFEST, "slow"),
    "refused": (ONE_FILE, "status 403"),
    "broken": (ONE_FILE, "status 500"),
    "not there": (schema.MANIFEST, "status 404"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_lying_server_costs_a_sentence(
    name: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "SMALL_SECONDS", 0.5)
    end, fault = FAULTS[name]
    server.faults[end] = fault
    with pytest.raises(UserError) as refused:
        open_store(server.url)
    assert "\n" not in str(refused.value)
    left = [path for path in (tmp_path / "cache").rglob("*") if path.name == Path(ONE_FILE).name]
    if end == ONE_FILE:
        assert not left
    server.faults.clear()
    assert open_store(server.url).corpora  # and nothing of it stays


@pytest.mark.parametrize(
    "address",
    ["http://example.com/x", "https://", "https://user:secret@example.com/x", "https://127.0.0.1:1/x",
     "https://[::1]:1/x", "https://10.0.0.1/x", "https://localhost:1/x", "hf://models/a/b", "hf://datasets/a",
     "hf://datasets/a/../b", "https://example.com:x/y", "https://169.254.169.254/latest"],
)  # fmt: skip
def test_addresses_that_are_none(address: str, server: Server) -> None:
    with pytest.raises(UserError) as refused:
        open_store(address)
    assert "\n" not in str(refused.value)
    assert server.asked == []


def test_checksums_in_addresses(server: Server, published: Path) -> None:
    build = hostile.build_of(published)
    digest = file_sha256(build / schema.MANIFEST)
    store = open_store(f"{server.url}#sha256={digest}")
    assert store.known
    assert not open_store(server.url).known
    of_bundle = file_sha256(published / "tiny.sextant")
    for place in (server.url + "/tiny.sextant", str(published / "tiny.sextant")):
        assert open_store(f"{place}#sha256={of_bundle}").known
        assert open_store(f"{place}#sha256={digest}").known
    assert open_store(f"{published}#sha256={digest}").known
    for place in (server.url, server.url + "/tiny.sextant", published, published / "tiny.sextant"):
        with pytest.raises(UserError, match="another store"):
            open_store(f"{place}#sha256={'0' * 64}")
    with pytest.raises(UserError, match="no sha256"):
        open_store(f"{server.url}#sha256=abc")


def test_processes_share_one_fetch(server: Server, tmp_path: Path) -> None:
    opened_at_once(server.url, 3)
    assert len([path for path, _ in server.asked if path.endswith(ONE_FILE)]) == 1


def test_a_full_disk(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_no_room(monkeypatch)
    with pytest.raises(UserError, match=CACHE_VARIABLE):
        open_store(server.url)
