"""How to cite: the papers whose methods these are, and a build by its name."""

PAPERS = """\
@article{oneill2024disentangling,
  title  = {Disentangling Dense Embeddings with Sparse Autoencoders},
  author = {O'Neill, Charles and Ye, Christine and Iyer, Kartheik and Wu, John F.},
  year   = {2024},
  eprint = {2408.00657},
  archivePrefix = {arXiv}
}

@misc{families2024,
  title = {Sparse autoencoders for dense text embeddings reveal hierarchical feature sub-structure},
  year  = {2024},
  note  = {Submitted to the Workshop on Scientific Methods for Understanding Deep Learning, NeurIPS 2024}
}

@misc{steering2024,
  title = {Steering semantic search with interpretable features from sparse autoencoders},
  year  = {2024},
  note  = {Submitted to NeurIPS 2024}
}"""
_MEANT = "{}\\$%#&_^~`"  # characters that BibTeX, or the fence around the entry, would take for its own


def build_entry(build: str, title: str, created: str) -> str:
    """BibTeX for one build, named by its id, which is a hash of what it was made from; texts may be a stranger's."""
    name = "".join(c for c in build if c.isascii() and c.isalnum())[:40]
    year = "".join(c for c in created[:4] if c.isascii() and c.isdigit())
    shown = "".join(c for c in " ".join(title.split()) if c.isprintable() and c not in _MEANT)[:120]
    return (
        f"@misc{{sextant{name[:8]},\n"
        f"  title = {{Sextant build {name}: {shown}}},\n"
        f"  year  = {{{year}}},\n"
        "  note  = {Sparse autoencoders on text embeddings; the build's name is a hash of its inputs}\n"
        "}"
    )
