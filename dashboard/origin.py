"""Who made the store that is served, where it came from, and whether its checksum was known beforehand."""

from pathlib import Path

import streamlit as st

from dashboard import served
from dashboard.text import plain_text, safe_text
from sae.storage.address import is_address, split_digest


def origin() -> None:
    """Two lines under a build's summary: maker and source, verified or not."""
    store = served.store()
    place, _ = split_digest(served.artifacts())
    revision = served.revision()
    maker = store.manifest.config.get("maker")
    lines = [
        f"{made_by(maker)} {came_from(place)}"
        + (f", revision `{plain_text(revision, 40)}`" if revision else "")
        + "."
    ]
    if store.known:
        lines.append(
            ":material/verified: **Verified**: its checksum is the one that was asked for, so it is what its "
            f"maker published. sha256 of its manifest: `{store.digest}`"
        )
    else:
        lines.append(
            ":material/help: **Not verified**: no checksum was known beforehand, so nothing shows who made it. Ask "
            "its maker for the sha256, and serve it with `ARTIFACTS_SHA256`. Of this manifest, which covers every "
            f"file, it is `{store.digest}`"
        )
    st.markdown("  \n".join(lines))


def made_by(maker: object) -> str:
    """The maker as the store names them: anyone can write any name there."""
    name = safe_text(maker, 120) if isinstance(maker, str) else ""
    return f"Made by {name}, as the store says." if name else "The store does not say who made it."


def came_from(place: str) -> str:
    """``Opened from …``: the address, or the name of a folder or file, without the folders above it."""
    if is_address(place):
        return f"Fetched from {safe_text(place, 300)}"
    path = Path(place)
    return f"Opened from the {'file' if path.is_file() else 'folder'} {safe_text(path.resolve().name, 120)}"
