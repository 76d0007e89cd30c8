"""A mistake in [training] is told in a sentence before anything is done."""

import pytest

from build.config import load_profile, profile_names
from build.training_options import check_training
from sae.errors import UserError
from tests.build.test_config import MINIMAL

TUNING = "[tuning]\ninput_noise = [0.2, 0.4]\n"
TRAINING = "[training]\nsteps = 100\nlearning_rate = 1e-3\n"


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_trains(name: str) -> None:
    check_training(load_profile(name))


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (TRAINING + "learning_rat = 1.0\n" + TUNING, "unknown learning_rat; known are"),
        (TUNING, "steps is missing"),
        ("[training]\nsteps = 0\n" + TUNING, "steps"),
        ("[training]\nsteps = 'x'\n" + TUNING, "steps is 'x'"),
        (TRAINING + "[tuning]\ninput_noise = [0.2, nan]\n", "input_noise"),
    ],
)
def test_a_mistake_is_named(tmp_path_factory: pytest.TempPathFactory, table: str, told: str) -> None:
    path = tmp_path_factory.mktemp("profile") / "p.toml"
    path.write_text(MINIMAL + table)
    with pytest.raises(UserError, match=told):
        check_training(load_profile(str(path)))
