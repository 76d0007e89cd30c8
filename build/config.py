"""What to build: a profile (TOML) read into frozen dataclasses, with what the command line overrides."""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from build.profile_table import checked_table, checked_tables
from build.query_files import read_queries
from sae.errors import UserError

PROFILES = Path(__file__).parent / "profiles"
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_RESERVED = ("query_encoder",)  # a folder of the build


@dataclass(frozen=True)
class CorpusConfig:
    """One collection of documents and where it comes from."""

    name: str  # Folder and link name: letters, digits, dot, dash, underscore.
    source: dict[str, Any]  # Options of the source; `source.kind` chooses it.
    title: str = ""  # Shown to readers; the name when empty.
    licence: str = "unknown"  # Terms under which the texts may be shared.
    examples: tuple[str, ...] = ()  # Queries offered on the search page; chosen from titles when empty.
    queries: str = ""  # A file with more of them, one a line; read at once into `examples`.
    cleaning: dict[str, Any] = field(default_factory=dict)  # Departures from the cleaning policy.


@dataclass(frozen=True)
class SAEPlan:
    """One sparse autoencoder to train on every corpus, in shares of the embedding's width and the corpus's size."""

    k: int | None = None  # Active latents a document; exclusive with k_share.
    k_share: float | None = None  # k as a share of d_in (the papers: 1, 2 and 4 %).
    n_latents: int | None = None  # Latents; exclusive with n_ratio.
    n_ratio: float | None = None  # Latents as a multiple of d_in (the papers: 2, 4 and 6).
    documents_per_latent: float | None = (
        None  # Upper bound on n_latents from the number of training documents.
    )
    prefix_shares: tuple[float, ...] | None = None  # Matryoshka: shares of n_latents that reconstruct alone.
    batch_topk: bool = False  # k latents a document on average, told by a threshold; not exactly k.

    def __post_init__(self) -> None:
        if (self.k is None) == (self.k_share is None):
            raise UserError("Each [[saes]] entry needs either k or k_share, and not both.")
        if (self.n_latents is None) == (self.n_ratio is None):
            raise UserError("Each [[saes]] entry needs either n_latents or n_ratio, and not both.")
        for name in ("k", "k_share", "n_latents", "n_ratio", "documents_per_latent"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UserError(f"A [[saes]] entry has {name} = {value}; it must be more than 0.")
        shares = self.prefix_shares
        if shares is not None and (not shares or min(shares) <= 0 or max(shares) > 1):
            raise UserError(
                f"A [[saes]] entry has prefix_shares = {list(shares)}; it must list shares above 0, up to 1."
            )

    def active(self, d_in: int) -> int:
        """k for embeddings of width d_in."""
        return self.k if self.k is not None else max(1, round((self.k_share or 0) * d_in))

    def latents(self, d_in: int, n_documents: int) -> int:
        """n_latents for a corpus: the wanted number, but no more than the documents can feed, in steps of 64."""
        wanted = self.n_latents if self.n_latents is not None else round((self.n_ratio or 0) * d_in)
        if self.documents_per_latent is not None:
            fed = int(n_documents / self.documents_per_latent) // 64 * 64
            wanted = min(wanted, max(64, fed))
        return max(wanted, 2 * self.active(d_in))

    def prefixes(self, n_latents: int) -> tuple[int, ...] | None:
        """``SAEConfig.prefixes`` for that many latents: the shares, rounded, and all of them."""
        if self.prefix_shares is None:
            return None
        return tuple(sorted({*(max(1, round(share * n_latents)) for share in self.prefix_shares), n_latents}))

    def name(self, d_in: int) -> str:
        """SAE16, SAE32 and SAE64 at d_in 1536; the same scheme elsewhere."""
        return f"SAE{self.active(d_in)}"


@dataclass(frozen=True)
class GridConfig:
    """SAEs trained only to see how the error falls with latents and compute (O'Neill et al. 2024, A.3)."""

    k_shares: tuple[float, ...]  # k as shares of d_in.
    n_ratios: tuple[float, ...]  # n_latents as multiples of d_in; a fit needs at least three.
    steps: int  # Training steps of each run.

    def __post_init__(self) -> None:
        for name in ("k_shares", "n_ratios"):
            values = getattr(self, name)
            if not isinstance(values, tuple) or not values or min(values) <= 0:
                raise UserError(f"[grid] {name} is {values!r}; it must be a list of numbers above 0.")
        if self.steps < 20:
            raise UserError(f"[grid] steps is {self.steps}; a curve needs at least 20.")

    def shapes(self, d_in: int) -> tuple[tuple[int, int], ...]:
        """(k, n_latents) of each run, without those in which less than half of the latents could rest."""
        ks = sorted({max(1, round(share * d_in)) for share in self.k_shares})
        sizes = sorted({round(ratio * d_in) for ratio in self.n_ratios})
        return tuple((k, n) for k in ks for n in sizes if n >= 2 * k)


@dataclass(frozen=True)
class TuningConfig:
    """Short runs for each corpus that choose how much noise the encoder sees in training."""

    input_noise: tuple[float, ...]  # Amounts to try, in units of the corpus's scale.
    steps: int = 300  # Training steps of each run.

    def __post_init__(self) -> None:
        if not isinstance(self.input_noise, tuple) or not self.input_noise or min(self.input_noise) < 0:
            raise UserError(
                f"[tuning] input_noise is {self.input_noise!r}; it must be a list of numbers from 0 up."
            )
        if self.steps < 20:
            raise UserError(f"[tuning] steps is {self.steps}; it must be at least 20.")


@dataclass(frozen=True)
class BuildConfig:
    """Everything that decides a build's content."""

    corpora: tuple[CorpusConfig, ...]
    embedder: dict[str, Any]  # `kind` is minilm, openai or precomputed; the rest are its options.
    saes: tuple[SAEPlan, ...]
    training: dict[str, Any]  # Fields of sae.config.TrainConfig.
    title: str = ""  # Shown on the About page.
    maker: str = ""  # Who made the build, as the About page shows it: a person, a group, an address.
    families: dict[str, Any] = field(default_factory=dict)  # Fields of FamilyConfig and FeatureFilter.
    splitting: dict[str, Any] = field(default_factory=dict)  # Fields of sae.splitting.SplittingConfig.
    evaluation: dict[str, Any] = field(default_factory=dict)  # Fields of build.evaluate.EvaluationConfig.
    labeller: dict[str, Any] = field(default_factory=dict)  # Fields of LabellerConfig and ServerConfig.
    grid: GridConfig | None = None  # Runs for scaling laws; none where the table is missing.
    tuning: TuningConfig | None = (
        None  # Runs that choose training.input_noise; the given one where it is missing.
    )
    held_out: float = 0.05  # Share of documents never trained on, for the held-out error.
    seed: int = 0  # Of splits, labels and evidence.
    overrides: str = "labels.overrides.csv"  # Labels corrected by hand; used where the file exists.

    def __post_init__(self) -> None:
        names = [corpus.name for corpus in self.corpora]
        if not names:
            raise UserError("The profile names no corpus: add a [[corpora]] table or pass --corpus FILE.")
        for name in names:
            if not _NAME.fullmatch(name) or name in _RESERVED:
                raise UserError(
                    f"The corpus name {name!r} cannot be used: it may hold only letters, digits, '.', '-' and '_', "
                    "at most 64 of them, begins and ends with a letter or digit, and is not query_encoder."
                )
        if len(set(names)) != len(names):
            raise UserError(
                f"Two corpora have the same name: {', '.join(names)}. Give each a name of its own."
            )
        if not self.saes:
            raise UserError("The profile names no SAE: add a [[saes]] table.")
        if not 0 < self.held_out < 0.5:
            raise UserError(f"held_out is {self.held_out}; it must lie between 0 and 0.5.")


def profile_names() -> list[str]:
    return sorted(path.stem for path in PROFILES.glob("*.toml"))


def load_profile(name: str) -> BuildConfig:
    """Read a profile by name, or from a path that ends in .toml."""
    path = Path(name) if name.endswith(".toml") else PROFILES / f"{name}.toml"
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        what = f"file {path}" if name.endswith(".toml") else f"profile {name!r}"
        known = ", ".join(profile_names())
        raise UserError(f"There is no {what}; name {known}, or the path of a TOML file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid TOML: {error}.") from None
    except OSError as error:
        raise UserError(
            f"The profile {path} cannot be read ({error.strerror}). Mend that, or name another."
        ) from None
    corpora = tuple(map(_with_queries, checked_tables(CorpusConfig, raw.pop("corpora", []), path, "corpora")))
    saes = checked_tables(SAEPlan, raw.pop("saes", []), path, "saes")
    if "grid" in raw:
        raw["grid"] = checked_table(GridConfig, raw["grid"], f"{path}, [grid]")
    if "tuning" in raw:
        raw["tuning"] = checked_table(TuningConfig, raw["tuning"], f"{path}, [tuning]")
    defaults = {"embedder": {"kind": "minilm"}, "training": {}}
    return checked_table(BuildConfig, defaults | raw | {"corpora": corpora, "saes": saes}, str(path))


def with_files(
    config: BuildConfig, files: list[Path], options: dict[str, Any], examples: tuple[str, ...]
) -> BuildConfig:
    """The profile with its corpora replaced by the user's own files, one corpus a file."""
    names: list[str] = []
    for path in files:
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.name.split(".")[0]).strip("-._")[:48] or "documents"
        name, number = stem, 2
        while name in (*names, *_RESERVED):
            name, number = f"{stem}-{number}", number + 1
        names.append(name)
    corpora = tuple(
        CorpusConfig(name, {"kind": "files", "path": str(path), **options}, examples=examples)
        for name, path in zip(names, files, strict=True)
    )
    title = " and ".join(corpus.name for corpus in corpora)
    return replace(config, corpora=corpora, title=title)


def with_queries(config: BuildConfig, given: Sequence[str]) -> BuildConfig:
    """The profile with example queries from files: NAME=FILE for one corpus, FILE for all of them.

    A file given for one corpus stands in place of one given for all.
    """
    names = [corpus.name for corpus in config.corpora]
    found: dict[str, tuple[str, ...]] = {}
    for_all: tuple[str, ...] = ()
    for entry in given:
        name, divided, path = entry.partition("=")
        if not divided or Path(entry).is_file():
            for_all += read_queries(Path(entry))
        elif name in names:
            found[name] = found.get(name, ()) + read_queries(Path(path))
        else:
            raise UserError(
                f"--queries {entry!r} names the corpus {name!r}; there are {', '.join(names)}. "
                "Write NAME=FILE for one corpus, FILE for all."
            )
    corpora = tuple(
        replace(corpus, examples=chosen) if (chosen := found.get(corpus.name, for_all)) else corpus
        for corpus in config.corpora
    )
    return replace(config, corpora=corpora)


def _with_queries(corpus: CorpusConfig) -> CorpusConfig:
    """The corpus with the queries of its file among its examples, so that a build depends on them, not on a path."""
    if not corpus.queries:
        return corpus
    return replace(corpus, examples=corpus.examples + read_queries(Path(corpus.queries)), queries="")
