"""The profile's [training] and [tuning] tables, checked before anything is read or embedded."""

from dataclasses import fields

from pydantic import TypeAdapter, ValidationError

from build.config import BuildConfig
from sae.config import TrainConfig
from sae.errors import UserError


def check_training(config: BuildConfig) -> None:
    """Raise UserError where the tables do not make a ``TrainConfig``, with each of the amounts of noise to try."""
    known = [field.name for field in fields(TrainConfig)]
    if unknown := sorted(set(config.training) - set(known)):
        raise UserError(
            f"The profile's [training] table has an unknown {unknown[0]!r}; known are {', '.join(known)}."
        )
    for tried in config.tuning.input_noise if config.tuning else (None,):
        noise = {} if tried is None else {"input_noise": tried}
        try:
            TypeAdapter(TrainConfig).validate_python(config.training | noise)
        except ValidationError as error:
            first = error.errors()[0]
            name = first["loc"][0] if first["loc"] else "table"
            found = "missing" if first["type"] == "missing" else repr(first["input"])
            raise UserError(f"The profile's [training] {name} is {found}; {first['msg'].lower()}.") from None
