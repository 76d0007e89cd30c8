"""The profile's [labeller] table: who labels, who predicts, and at what cost."""

from dataclasses import dataclass, field, fields, replace

from build.config import BuildConfig
from build.llm.endpoint import ServerConfig
from build.money import checked_budget
from build.profile_table import checked_table
from sae.errors import UserError

LOCAL, OPENAI = "local", "openai"
BUILT_IN = ("local", "plain")  # Interpreters and Predictors that need no server
_HOW_NOT_WHAT = ("key_env", "timeout", "retries", "concurrency", "per_minute", "batch")


@dataclass(frozen=True)
class LabellerConfig:
    """Options of labelling; the fields of ServerConfig may stand in the same table."""

    kind: str = LOCAL  # local, or openai: any server that speaks its protocol.
    interpreter: str = "gpt-4o-mini"  # The model that writes labels.
    predictor: str = "gpt-4o-mini"  # The model that predicts activations from labels.
    candidates: int = 3  # Labels proposed for each feature; the best on the labelling half is kept.
    check_documents: int = 3  # Documents of each kind on which candidates are compared.
    score_documents: int = (
        10  # Activating documents on which a label is scored; as many random and matched ones.
    )
    characters: int = 1200  # Of each document that a model is shown.
    budget_usd: float | None = None  # For all labels of a store, earlier runs included; None for no bound.
    batch: bool = False  # Ask through the Batch API: half the price, within a day.
    pairs: tuple[tuple[str, str], ...] | None = None  # Pairs to compare: "local", "plain" or a model each.
    pair_features: int = 50  # Features of the largest SAE on which pairs are compared.
    server: ServerConfig = field(default_factory=ServerConfig)

    def __post_init__(self) -> None:
        if self.kind not in (LOCAL, OPENAI):
            raise UserError(f"[labeller] kind is {self.kind!r}; it can be {LOCAL} or {OPENAI}.")
        for name, least, most in (
            ("candidates", 1, 8),
            ("check_documents", 1, 40),
            ("score_documents", 3, 40),
            ("characters", 100, 20_000),
            ("pair_features", 1, 10_000),
        ):
            if not least <= getattr(self, name) <= most:
                raise UserError(f"[labeller] {name} is {getattr(self, name)}; it can be {least} to {most}.")
        checked_budget(self.budget_usd, "[labeller]")

    @property
    def compared(self) -> tuple[tuple[str, str], ...]:
        """The pairs to compare: those of the profile, with the local and the plain one always among them."""
        wanted = self.pairs
        if wanted is None:
            wanted = ((self.interpreter, self.predictor),) if self.kind == OPENAI else ()
        return tuple(dict.fromkeys([("local", "local"), ("plain", "plain"), *wanted]))

    @property
    def asks(self) -> bool:
        """Whether labels are written by a language model."""
        return self.kind == OPENAI

    @property
    def pairs_ask(self) -> bool:
        """Whether the comparison of pairs asks a language model."""
        return any(name not in BUILT_IN for pair in self.compared for name in pair)


def read_labeller(config: BuildConfig) -> LabellerConfig:
    """The [labeller] table of a profile. Raises UserError for unknown or impossible options."""
    table, where = dict(config.labeller), "The profile's [labeller]"
    of_server = [f.name for f in fields(ServerConfig)]
    asked = {name: table.pop(name) for name in of_server if name in table}
    known = [f.name for f in fields(LabellerConfig) if f.name != "server"]
    options = checked_table(LabellerConfig, table, where, [*known, *of_server])
    return replace(options, server=checked_table(ServerConfig, asked, where))


def label_settings(config: BuildConfig) -> object:
    """What labels depend on, for the key of a stage: all but how the server is reached."""
    read_labeller(config)
    table = {
        name: value
        for name, value in config.labeller.items()
        if name not in (*_HOW_NOT_WHAT, "pairs", "pair_features")
    }
    return {} if table.get("kind", LOCAL) == LOCAL else table


def pair_settings(config: BuildConfig) -> object:
    """The same for the comparison of pairs."""
    found = read_labeller(config)
    asked = {n: v for n, v in config.labeller.items() if n not in (*_HOW_NOT_WHAT, "kind")}
    return [found.compared, found.pair_features, asked if found.pairs_ask else found.score_documents]
