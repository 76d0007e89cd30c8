"""The limits that README and SECURITY.md state are those of the code."""

from pathlib import Path

import pytest

from sae.storage import limits

ROOT = Path(__file__).parent.parent.parent
_TEXTS = limits.TEXT_CHARACTERS


@pytest.mark.parametrize(
    "stated",
    [
        f"{limits.CORPORA} corpora of {limits.DOCUMENTS:,} documents and {limits.D_IN:,} dimensions",
        f"each with {limits.SAES} SAEs of {limits.LATENTS:,} latents and k up to {limits.K:,}",
        f"{limits.FILES:,} files of {limits.FILE_BYTES >> 30} GB",
        f"a label of {_TEXTS['label']} bytes, a title of {_TEXTS['title']:,}, a text of {_TEXTS['text']:,}",
        f"decoded {max(limits.WHOLE_BYTES, limits.GROUP_BYTES) >> 20} MB for one array or row group, "
        f"{limits.TABLE_BYTES >> 20} MB for one read",
    ],
)
def test_readme(stated: str) -> None:
    assert stated in " ".join((ROOT / "README.md").read_text().split())


@pytest.mark.parametrize(
    "stated",
    [
        f"| manifest | {limits.MANIFEST_BYTES >> 20} MB, {limits.MANIFEST_DEPTH} levels",
        f"chunks to {limits.CHUNK_BYTES >> 20} MB, {limits.CHUNKS_A_SHARD} a shard",
        f"size to {limits.PAGE_BYTES >> 20} MB",
        f"{limits.GROUP_BYTES >> 20} MB a row group and {limits.TABLE_BYTES >> 20} MB a read",
        f"labels to {_TEXTS['label']} bytes",
        f"up to {limits.HELD_BYTES >> 20} MB it is held in memory",
        f"the manifest to {limits.MANIFEST_BYTES >> 20} MB",
    ],
)
def test_security(stated: str) -> None:
    assert stated in " ".join((ROOT / "SECURITY.md").read_text().split())
