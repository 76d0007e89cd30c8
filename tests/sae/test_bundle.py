"""A build as one file: what was bundled is what is opened, and a hostile or damaged bundle unpacks nothing."""

import os
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from build.bundle import write_bundle
from build.display import Display
from build.verify import verify
from sae.errors import UserError
from sae.schema import MANIFEST
from sae.storage import bundle as bundles
from sae.storage.manifest import file_sha256
from sae.store import open_store
from tests.sae import hostile
from tests.sae.opening import leave_no_room, opened_at_once


@pytest.fixture(scope="module")
def store(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bundled")
    hostile.small_store(tiny_store, root)
    return root


@pytest.fixture(scope="module")
def whole(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "tiny.sextant"
    write_bundle(open_store(store), path)
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv(bundles.CACHE_VARIABLE, str(folder))
    return folder


def left_in(cache: Path) -> list[str]:
    return [path.name for path in cache.iterdir()] if cache.exists() else []


def test_what_was_bundled_is_what_is_opened(store: Path, whole: Path, cache: Path) -> None:
    one, other = open_store(store), open_store(whole)
    assert one.manifest == other.manifest
    assert cache in other.path.parents
    a, b = one.corpus(hostile.CORPUS), other.corpus(hostile.CORPUS)
    np.testing.assert_array_equal(a.embeddings, b.embeddings)
    assert a.documents([3, 1]).equals(b.documents([3, 1]))
    assert verify(whole, Display(plain=True)) == 0
    assert len(left_in(cache)) == 1


def test_its_checksum_stands_beside_it(whole: Path) -> None:
    digest, name = whole.with_name(whole.name + ".sha256").read_text().split()
    assert (digest, name) == (file_sha256(whole), whole.name)


def test_equal_builds_give_equal_bundles(store: Path, whole: Path, tmp_path: Path) -> None:
    write_bundle(open_store(store), tmp_path / "again.sextant")
    assert file_sha256(tmp_path / "again.sextant") == file_sha256(whole)


def test_a_bundle_is_unpacked_once(whole: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bundles.unpack(whole)
    monkeypatch.setattr(bundles, "_unpack", lambda *a: pytest.fail("unpacked again"))
    assert bundles.unpack(whole) == first


def test_an_unpacked_build_that_lost_a_file_is_unpacked_again(whole: Path, cache: Path) -> None:
    build = bundles.unpack(whole)
    (build / hostile.CORPUS / "documents.parquet").unlink()
    open_store(whole).corpus(hostile.CORPUS).documents([0])


def test_many_processes_at_once(whole: Path, cache: Path) -> None:
    opened_at_once(whole, 3)
    assert len(left_in(cache)) == 1


def test_an_unpacking_that_breaks_off_leaves_nothing(
    whole: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundles, "_copy", full)
    with pytest.raises(UserError, match="is full"):
        bundles.unpack(whole)
    assert left_in(cache) == []


def test_a_damaged_build_is_not_bundled(store: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(store, tmp_path / "store"))
    path = hostile.build_of(root) / hostile.CORPUS / "embeddings.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(UserError, match="wrong checksum"):
        write_bundle(open_store(root), tmp_path / "x.sextant")
    assert [p.name for p in tmp_path.iterdir()] == ["store"]


def test_a_bundle_that_cannot_be_written_leaves_nothing_half(store: Path, tmp_path: Path) -> None:
    (tmp_path / "x.sextant.sha256").mkdir()  # where the checksum should go
    with pytest.raises(UserError, match="cannot be written"):
        write_bundle(open_store(store), tmp_path / "x.sextant")
    assert not list(tmp_path.glob("*.partial"))


def _rewritten(
    whole: Path, target: Path, act: Callable[[zipfile.ZipFile, zipfile.ZipInfo, bytes], None]
) -> None:
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.infolist():
            act(new, zipfile.ZipInfo(member.filename), old.read(member))


def _with(name: str, data: bytes = b"x", mode: int = stat.S_IFREG | 0o644) -> Callable[[Path, Path], None]:
    """A bundle with one more file."""

    def make(whole: Path, target: Path) -> None:
        shutil.copy(whole, target)
        member = zipfile.ZipInfo(name)
        member.external_attr = mode << 16
        with zipfile.ZipFile(target, "a") as archive:
            archive.writestr(member, data)

    return make


def _bytes(act: Callable[[bytes], bytes]) -> Callable[[Path, Path], None]:
    return lambda whole, target: target.write_bytes(act(whole.read_bytes()))  # type: ignore[return-value]


def _compressed(whole: Path, target: Path) -> None:
    def act(new: zipfile.ZipFile, member: zipfile.ZipInfo, data: bytes) -> None:
        new.writestr(member, data, compress_type=zipfile.ZIP_DEFLATED)

    _rewritten(whole, target, act)


def _bomb(whole: Path, target: Path) -> None:
    def act(new: zipfile.ZipFile, member: zipfile.ZipInfo, data: bytes) -> None:
        if member.filename.endswith("embeddings.npy"):
            new.writestr(member, bytes(200_000_000), compress_type=zipfile.ZIP_LZMA)
        else:
            new.writestr(member, data)

    _rewritten(whole, target, act)


def _without_a_file(whole: Path, target: Path) -> None:
    def act(new: zipfile.ZipFile, member: zipfile.ZipInfo, data: bytes) -> None:
        if not member.filename.endswith("documents.parquet"):
            new.writestr(member, data)

    _rewritten(whole, target, act)


def _manifest_last(whole: Path, target: Path) -> None:
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(target, "w") as new:
        for member in reversed(old.infolist()):
            new.writestr(member, old.read(member))


def _flipped(data: bytes) -> bytes:
    at = data.index(b"\x93NUMPY") + 200  # inside an array
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _long_directory(data: bytes) -> bytes:
    return data[:-10] + (0x7FFFFFFF).to_bytes(4, "little") + data[-6:]


HOSTILE: dict[str, Callable[[Path, Path], None]] = {
    "zip-slip": _with("../../slipped"),
    "an absolute path": _with("/tmp/slipped"),
    "a backslash": _with("..\\slipped"),
    "a link": _with("planted/link", b"/etc/passwd", stat.S_IFLNK | 0o777),
    "a device": _with("planted/device", b"", stat.S_IFCHR | 0o666),
    "a folder": _with("planted/folder/", b"", stat.S_IFDIR | 0o755),
    "a foreign file": _with("planted/x.py"),
    "a file twice": _with("planted/embeddings.npy"),
    "a second manifest": _with(MANIFEST, b"{}"),
    "compressed": _compressed,
    "a bomb": _bomb,
    "a file missing": _without_a_file,
    "the manifest last": _manifest_last,
    "a flipped bit": _bytes(_flipped),
    "cut off": _bytes(lambda data: data[: len(data) // 2]),
    "cut short": _bytes(lambda data: data[:-1]),
    "empty": _bytes(lambda data: b""),
    "noise": _bytes(lambda data: np.random.default_rng(0).bytes(5000)),
    "a long directory": _bytes(_long_directory),
    "no zip but its end": _bytes(lambda data: data[-22:]),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_hostile_bundle_is_refused(name: str, whole: Path, cache: Path, tmp_path: Path) -> None:
    target = tmp_path / "in" / "hostile.sextant"
    target.parent.mkdir()
    HOSTILE[name](whole, target)
    with pytest.raises(UserError) as refused:
        open_store(target)
    assert "\n" not in str(refused.value)
    assert left_in(cache) == []
    assert sorted(os.listdir(tmp_path)) in (["in"], ["cache", "in"])
    assert os.listdir(target.parent) == ["hostile.sextant"]


def test_a_missing_bundle(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no bundle"):
        open_store(tmp_path / "x.sextant")


def test_no_room(whole: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_no_room(monkeypatch)
    with pytest.raises(UserError, match=bundles.CACHE_VARIABLE):
        open_store(whole)
