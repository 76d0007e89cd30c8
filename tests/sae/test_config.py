"""Configurations that cannot work are refused with the names of their fields."""

import pytest

from sae.config import SAEConfig, TrainConfig
from sae.errors import UserError


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"d_in": 0}, "d_in"),
        ({"n_latents": -3}, "n_latents"),
        ({"k": 0}, "k"),
        ({"k": 2.5}, "k"),
        ({"k": 65}, "n_latents"),
        ({"aux_k": 0}, "aux_k"),
        ({"aux_alpha": -1.0}, "aux_alpha"),
    ],
)
def test_sae_config_refuses(fields, named):
    with pytest.raises(UserError, match=named):
        SAEConfig(**({"d_in": 16, "n_latents": 64, "k": 4} | fields))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"steps": 0}, "steps"),
        ({"batch_size": 0}, "batch_size"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"clip_norm": -1.0}, "clip_norm"),
        ({"dead_after": 0}, "dead_after"),
        ({"patience": 0}, "patience"),
        ({"seed": -1}, "seed"),
        ({"path": "quick"}, "reference"),
        ({"input_noise": -0.1}, "input_noise"),
        ({"encoder_decay": -0.1}, "encoder_decay"),
        ({"learning_rate": 0.5, "encoder_decay": 2.0}, "encoder_decay"),
        ({"final_decay": 1.5}, "final_decay"),
        ({"warmup_steps": 90, "final_decay": 0.2}, "warmup_steps"),
    ],
)
def test_train_config_refuses(fields, named):
    with pytest.raises(UserError, match=named):
        TrainConfig(**({"steps": 100} | fields))


def test_learning_rate_rises_stays_and_falls():
    config = TrainConfig(steps=100, learning_rate=2.0, warmup_steps=10, final_decay=0.2)
    rates = [config.learning_rate_at(step) for step in range(100)]
    assert rates[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert set(rates[10:80]) == {2.0}
    assert rates[80:] == pytest.approx([2.0 * (100 - step) / 20 for step in range(80, 100)])


def test_learning_rate_is_constant_by_default():
    config = TrainConfig(steps=5)
    assert {config.learning_rate_at(step) for step in range(5)} == {1e-4}


def test_aux_k_is_twice_k_unless_given():
    assert SAEConfig(16, 64, 4).n_aux == 8
    assert SAEConfig(16, 64, 4, aux_k=3).n_aux == 3
