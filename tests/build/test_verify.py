"""Every kind of damage, in every kind of file, is named."""

import shutil
from pathlib import Path

import pytest

from build.display import Display
from build.verify import verify
from sae import schema
from sae.errors import UserError
from sae.storage.manifest import read_manifest


@pytest.fixture(scope="module")
def whole(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    name = (tiny_store / schema.CURRENT).read_text().strip()
    return Path(shutil.copytree(tiny_store / schema.BUILDS / name, tmp_path_factory.mktemp("verify") / name))


def one_of_each_class(build: Path) -> list[str]:
    """A file of every class of the store: each name of the schema, and of Zarr both chunks and metadata."""
    classes: dict[tuple[str, str], str] = {}
    for path in read_manifest(build).files:
        parts = path.split("/")
        store = next((part for part in parts if part.endswith(".zarr")), parts[-1])
        classes.setdefault((store, "zarr.json" if parts[-1] == "zarr.json" else "data"), path)
    return sorted(classes.values())


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


DAMAGES = {
    "a flipped bit": (flip, "checksum"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-1]), "bytes instead of"),
    "empty": (lambda path: path.write_bytes(b""), "bytes instead of"),
    "missing": (lambda path: path.unlink(), "is missing"),
}


def test_a_whole_build_passes(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(whole, Display(plain=True)) == 0
    assert "all as built" in capsys.readouterr().out


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_in_every_class_of_file(
    whole: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    act, words = DAMAGES[damage]
    classes = one_of_each_class(whole)
    assert len(classes) >= 15
    saved = {path: (whole / path).read_bytes() for path in classes}
    try:
        for path in classes:
            act(whole / path)
        found = verify(whole, Display(plain=True))
    finally:
        for path, data in saved.items():
            (whole / path).write_bytes(data)
    said = capsys.readouterr().out.splitlines()
    assert [path for path in classes if not any(path in line and words in line for line in said)] == []
    assert found >= len(classes)


@pytest.mark.parametrize("damage", ["truncated", "empty", "missing"])
def test_a_damaged_manifest_is_one_sentence(whole: Path, damage: str) -> None:
    path = whole / schema.MANIFEST
    saved = path.read_bytes()
    # One byte less is only the last newline; half the file is a truncation that matters.
    DAMAGES[damage][0](path) if damage != "truncated" else path.write_bytes(saved[: len(saved) // 2])
    try:
        with pytest.raises(UserError):
            verify(whole, Display(plain=True))
    finally:
        path.write_bytes(saved)


def test_a_foreign_file_is_named(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    foreign = whole / "planted" / "extra.bin"
    foreign.write_bytes(b"x")
    try:
        assert verify(whole, Display(plain=True)) == 1
        assert "planted/extra.bin is not part of the build" in capsys.readouterr().out
    finally:
        foreign.unlink()
