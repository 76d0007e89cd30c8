"""Addresses of stores: https folders and bundles, datasets of a hub, and the checksum that may stand behind them."""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sae.storage import limits
from sae.storage.manifest import StoreError

HUB = "https://huggingface.co"
HUB_VARIABLE = "HF_ENDPOINT"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_ADDRESS = re.compile(r"datasets/([\w.-]+/[\w.-]+)(?:@([\w.-]+))?(/[\w./-]*)?")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def is_address(path: Path | str) -> bool:
    """Whether a store is named by an address and not by a path."""
    return str(path).startswith(("https://", "http://", "hf://"))


def split_digest(address: str) -> tuple[str, str | None]:
    """(address or path, checksum that stands behind ``#sha256=``). Raises StoreError when that is none."""
    place, found, digest = address.partition("#sha256=")
    if found and not _DIGEST.fullmatch(digest):
        raise StoreError(f"{address[-80:]} ends in no sha256: 64 digits from 0 to 9 and a to f are needed.")
    return place, digest or None


@dataclass(frozen=True)
class Source:
    """Where a store comes from: the address as given, the https folder or file behind it, the revision if any."""

    address: str
    url: str
    revision: str | None = None


def locate(address: str) -> Source:
    """The https address behind an address; a revision of a dataset is resolved to its commit."""
    from sae.storage.download import DownloadError, check_url, small

    if not address.startswith("hf://"):
        check_url(address)
        return Source(address, address.rstrip("/"))
    found = _HUB_ADDRESS.fullmatch(address.removeprefix("hf://").rstrip("/"))
    if not found or ".." in address:
        raise StoreError(
            f"{address} is no dataset's address; it has the form hf://datasets/owner/name@revision."
        )
    name, revision, folder = found[1], found[2] or "main", found[3] or ""
    hub = (os.environ.get(HUB_VARIABLE) or HUB).rstrip("/")
    if not _COMMIT.fullmatch(revision):
        raw = small(f"{hub}/api/datasets/{name}/revision/{quote(revision, safe='')}", limits.MANIFEST_BYTES)
        described = json.loads(raw)
        revision = str(described.get("sha") if isinstance(described, dict) else None)
        if not _COMMIT.fullmatch(revision):
            raise DownloadError("the hub does not say which commit the revision is")
    return Source(address, f"{hub}/datasets/{name}/resolve/{revision}{folder}", revision)
