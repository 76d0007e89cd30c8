"""How to cite: the papers whose methods these are, and the build that a page shows."""

from dashboard.text import plain_text

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


def build_entry(build: str, title: str, created: str) -> str:
    """BibTeX for one build, named by its id, which is a hash of what it was made from."""
    name = "".join(c for c in plain_text(build, 40) if c.isalnum())
    shown = "".join(c for c in plain_text(title, 120) if c not in "{}\\$%#&_^~")
    return (
        f"@misc{{sextant{name[:8]},\n"
        f"  title = {{Sextant build {name}: {shown}}},\n"
        f"  year  = {{{plain_text(created, 10)[:4]}}},\n"
        "  note  = {Sparse autoencoders on text embeddings; the build's name is a hash of its inputs}\n"
        "}"
    )
