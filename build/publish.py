"""``python -m build.publish STORE TO [--yes]``: put a store where others can open it, with a card.

``TO`` is ``hf://datasets/owner/name``, a folder, or any address that fsspec can write to (``s3://…``, ``sftp://…``;
their own packages must be installed). The layout is that of an artifacts folder: ``builds/<name>/…`` is sent first,
``CURRENT`` last, so that whoever opens it meanwhile sees the earlier build or the new one and never half of each.
Without ``--yes`` nothing is sent. What an interrupted run has sent is not sent again.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from build.card import card
from build.display import Display, fail
from sae import schema
from sae.errors import UserError
from sae.progress import Progress, silent
from sae.storage.disk import full, is_full
from sae.storage.manifest import check_file
from sae.store import Store, open_store

TOKEN = "HF_TOKEN"
CARD = "README.md"
_HUB = "hf://datasets/"
_BLOCK = 1 << 20
_SUFFIX = ".partial"


def main(
    store: Annotated[str, typer.Argument(help="An artifacts folder, a bundle, or an address.")],
    to: Annotated[str, typer.Argument(help="hf://datasets/owner/name, a folder, or an address for fsspec.")],
    yes: Annotated[
        bool, typer.Option("--yes", help="Send it; without this only say what would be sent.")
    ] = False,
    private: Annotated[
        bool, typer.Option("--private", help="A new dataset is visible to you alone.")
    ] = False,
) -> None:
    """Put a store where others can open it; without --yes only say what would happen."""
    display = Display()
    try:
        opened = open_store(store)
        target = make_target(to, private)
        text = card(opened, target.address)
        size = sum(entry.size for entry in opened.manifest.files.values())
        if not yes:
            display.say(text)
            display.say(
                f"This would put {len(opened.manifest.files) + 3:,} files, {size / 1e6:,.1f} MB, and the card above "
                f"at {to}. Nothing was sent; `make publish TO={to} FLAGS=--yes` sends it."
            )
            return
        with display.task("", f"publish {to}", "MB") as progress:
            publish(opened, target, text, progress)
        display.say(f"Whoever opens it: ARTIFACTS='{target.address}#sha256={opened.digest}'")
    except UserError as error:
        fail(str(error))
        raise typer.Exit(1) from None


def publish(store: Store, target: "Target", text: str, progress: Progress | None = None) -> None:
    """Send a store's build, then the card, then CURRENT. Raises UserError; run again, it goes on.

    Every file is compared with the manifest before it is sent.
    """
    report = progress or silent
    total = sum(entry.size for entry in store.manifest.files.values())
    done = 0
    for name, entry in store.manifest.files.items():
        if reason := check_file(store.path, name, entry):
            raise UserError(f"{store.path / name} {reason}. Run `make artifacts` to mend it.")
    prefix = f"{schema.BUILDS}/{store.manifest.build}"
    try:
        for name in [*sorted(store.manifest.files), schema.MANIFEST]:
            target.put(store.path / name, f"{prefix}/{name}")
            done += (store.path / name).stat().st_size
            report(min(done, total) // 1_000_000, total // 1_000_000, name)
        target.write(CARD, text.encode())
        target.write(schema.CURRENT, f"{store.manifest.build}\n".encode())
        target.finish(f"Build {store.manifest.build}")
    except UserError:
        raise
    except Exception as error:  # each storage has exceptions of its own
        if is_full(error, target.address):
            raise full(target.address, "What was sent is kept: make room and run it again.") from None
        said = " ".join(str(error).split())[:300] or type(error).__name__
        raise UserError(
            f"{target.address} could not be written ({said}). What was sent is kept: run it again to go on."
        ) from None


class Target(ABC):
    """Where a store is published. ``address`` is what others open it with."""

    address: str

    @abstractmethod
    def put(self, source: Path, path: str) -> None:
        """Send a file that never changes once it is there."""

    @abstractmethod
    def write(self, path: str, data: bytes) -> None:
        """Send or replace a small file."""

    @abstractmethod
    def finish(self, message: str) -> None:
        """Make visible what was sent, where sending alone does not."""


class Files(Target):
    """A folder, or anything that fsspec can write to. A file is written beside its place and moved there."""

    def __init__(self, to: str) -> None:
        import fsspec

        self.address = to.rstrip("/")
        try:
            self._files, self._root = fsspec.core.url_to_fs(self.address)
        except (ValueError, ImportError) as error:
            raise UserError(
                f"{to} cannot be written to: {error}. Mend that, or publish into a folder."
            ) from None
        self._root = self._root.rstrip("/")

    def put(self, source: Path, path: str) -> None:
        size = source.stat().st_size
        if self._size(path) == size and self._same(source, path):
            return
        self._send(path, lambda file: _copy(source, file))

    def write(self, path: str, data: bytes) -> None:
        self._send(path, lambda file: file.write(data))

    def finish(self, message: str) -> None:
        """Nothing: each file is visible once it is there."""

    def _send(self, path: str, fill: Callable[[Any], Any]) -> None:
        place = f"{self._root}/{path}"
        self._files.makedirs(place.rsplit("/", 1)[0], exist_ok=True)
        if "file" not in _protocols(self._files):  # object stores show a file when it is whole
            with self._files.open(place, "wb") as file:
                fill(file)
            return
        try:
            with open(place + _SUFFIX, "wb") as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(place + _SUFFIX, place)
        finally:
            Path(place + _SUFFIX).unlink(missing_ok=True)

    def _size(self, path: str) -> int | None:
        try:
            return int(self._files.info(f"{self._root}/{path}")["size"])
        except (FileNotFoundError, KeyError, TypeError):
            return None

    def _same(self, source: Path, path: str) -> bool:
        with self._files.open(f"{self._root}/{path}", "rb") as there, source.open("rb") as here:
            return all(a == b for a, b in zip(_blocks(there), _blocks(here), strict=False))


class Hub(Target):
    """A dataset of the Hugging Face Hub: one commit; files sent before a fault are known to the hub by content."""

    def __init__(self, to: str, private: bool) -> None:
        self._name = to.removeprefix(_HUB).rstrip("/")
        if self._name.count("/") != 1 or "@" in self._name:
            raise UserError(f"{to} is no dataset; it has the form hf://datasets/owner/name.")
        self.address = f"{_HUB}{self._name}"
        self._private = private
        self._operations: list[Any] = []

    def put(self, source: Path, path: str) -> None:
        from huggingface_hub import CommitOperationAdd

        self._operations.append(CommitOperationAdd(path_in_repo=path, path_or_fileobj=str(source)))

    def write(self, path: str, data: bytes) -> None:
        from huggingface_hub import CommitOperationAdd

        self._operations.append(CommitOperationAdd(path_in_repo=path, path_or_fileobj=data))

    def finish(self, message: str) -> None:
        from huggingface_hub import HfApi

        token = os.environ.get(TOKEN)
        if not token:
            raise UserError(f"{self.address} needs a token that may write: set {TOKEN} to it.")
        api = HfApi(token=token)
        api.create_repo(self._name, repo_type="dataset", private=self._private or None, exist_ok=True)
        api.create_commit(
            self._name, self._operations, commit_message=message, repo_type="dataset", revision="main"
        )


def make_target(to: str, private: bool = False) -> Target:
    """The target behind an address or a folder."""
    if not to.strip():
        raise UserError(
            "Nowhere is named to publish to: give `make publish` TO=hf://datasets/owner/name or a folder."
        )
    if to.startswith("hf://"):
        return Hub(to, private)
    if to.startswith(("https://", "http://")):
        raise UserError(
            f"{to} can be read but not written to. Publish into a folder, and copy that to the server."
        )
    return Files(to)


def _protocols(files: Any) -> tuple[str, ...]:
    return (files.protocol,) if isinstance(files.protocol, str) else tuple(files.protocol)


def _blocks(file: Any) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block


def _copy(source: Path, file: Any) -> None:
    with source.open("rb") as opened:
        for block in _blocks(opened):
            file.write(block)


if __name__ == "__main__":
    typer.run(main)
