"""What is served: the store that ARTIFACTS names, opened once for all sessions, or on its way here."""

import os
import threading
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from sae.errors import UserError
from sae.schema import CURRENT
from sae.storage.address import is_address, split_digest
from sae.storage.bundle import is_bundle
from sae.store import Store, current_build, open_store

if TYPE_CHECKING:
    from sae.storage.remote import Fetch

_FOLLOWED = "served"
_fetch_lock = threading.Lock()  # sessions that open an address at once share one fetch
_fetches: dict[str, "Fetch"] = {}


def setting(name: str) -> str | None:
    """An environment variable, or a secret of the host of the same name."""
    if found := os.environ.get(name):
        return found
    return _secret(name, int(time.monotonic()))


@lru_cache(maxsize=64)
def _secret(name: str, second: int) -> str | None:
    """A secret, looked up at most once a second: Streamlit reads its files again at each asking."""
    try:
        secret = st.secrets.get(name)
    except (FileNotFoundError, RuntimeError):  # there are no secrets
        return None
    return str(secret) if secret else None


def artifacts() -> str:
    """What is served: a folder that holds CURRENT, a bundle, or an address; ARTIFACTS, else ``artifacts``.

    The checksum that it must have may stand behind it as ``#sha256=…``, or in ARTIFACTS_SHA256.
    """
    place = setting("ARTIFACTS") or "artifacts"
    digest = setting("ARTIFACTS_SHA256")
    return f"{place}#sha256={digest.strip()}" if digest and "#sha256=" not in place else place


def store() -> Store:
    """The build that this session is served: one and the same for all that a page shows, also for what a slider's move
    draws again, though CURRENT names another by then. Raises UserError as :func:`newest`."""
    found: Store | None = st.session_state.get(_FOLLOWED)
    return found or newest()


def follow() -> tuple[Store | None, Store]:
    """Serve this session the newest build from here on. (the one before, the newest); call once, at the start of a
    full run. Raises UserError as :func:`newest`."""
    before = st.session_state.get(_FOLLOWED)
    found = st.session_state[_FOLLOWED] = newest()
    return before, found


def newest() -> Store:
    """The build that is to be served now. Raises UserError when it is missing, half-built, damaged or of another
    schema.

    A store at an address is fetched in the background; it can be read as far as its files have arrived.
    """
    place, digest = split_digest(artifacts())
    if is_address(place):
        return _fetched(artifacts())
    root = Path(place)
    return _store(str(root.resolve()), digest, _version(root))


def arriving() -> "Fetch | None":
    """The store on its way here, while it is."""
    place = artifacts()
    if not is_address(place):
        return None
    fetch = _fetch(place)
    return None if fetch.finished else fetch


def revision() -> str | None:
    """The commit of a dataset that is served."""
    place = artifacts()
    return _fetch(place).source.revision if is_address(place) else None


def fetch_again() -> None:
    """Go on with a fetch that was broken off."""
    fetch = _fetch(artifacts())
    if fetch.fault is not None:
        fetch.fault = None
        threading.Thread(target=_run, args=(fetch,), daemon=True).start()


@lru_cache(maxsize=4)
def _fetch(address: str) -> "Fetch":
    from sae.storage.remote import begin

    with _fetch_lock:
        fetch = _fetches.get(address)
        if fetch is None:
            fetch = _fetches[address] = begin(address)
            if not fetch.finished:
                threading.Thread(target=_run, args=(fetch,), daemon=True).start()
        return fetch


def _run(fetch: "Fetch") -> None:
    with suppress(UserError):  # which is kept as the fetch's fault, for the pages to show
        fetch.run()


def _fetched(address: str) -> Store:
    fetch = _fetch(address)
    return _arrived(str(fetch.folder), fetch.digest if "#sha256=" in address else None, fetch.finished)


@lru_cache(maxsize=4)
def _arrived(folder: str, digest: str | None, whole: bool) -> Store:
    return Store(Path(folder), check_sizes=whole, sha256=digest)


def _version(root: Path) -> str:
    """What changes when another build is served from a folder or a bundle."""
    if not is_bundle(root):
        return current_build(root / CURRENT) or ""
    try:
        found = root.stat()
    except OSError:
        return ""
    return f"{found.st_size} {found.st_mtime_ns}"


@lru_cache(maxsize=2)
def _store(root: str, digest: str | None, version: str) -> Store:
    return open_store(root, sha256=digest)
