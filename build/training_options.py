"""The profile's [training] and [tuning] tables, checked before anything is read or embedded."""

from typing import Any

from build.config import BuildConfig
from build.profile_table import checked_table
from sae.config import TrainConfig


def check_training(config: BuildConfig) -> None:
    """Raise UserError where the tables do not make a ``TrainConfig``, with each of the amounts of noise to try."""
    for tried in config.tuning.input_noise if config.tuning else (None,):
        checked_training(config.training | ({} if tried is None else {"input_noise": tried}))


def checked_training(table: dict[str, Any]) -> TrainConfig:
    """The [training] table."""
    return checked_table(TrainConfig, table, "The profile's [training]")
