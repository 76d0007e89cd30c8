"""Words typed in a page's box, and the labels that hold them."""

import pandas as pd

from dashboard.label_words import with_words


def test_every_word_is_asked_for_in_whatever_case_and_order() -> None:
    labels = pd.Series(["Dark matter; halo", "matter.", None, "Dark energy"], index=[3, 5, 8, 9])
    assert with_words(labels, "MATTER dark").to_dict() == {3: True, 5: False, 8: False, 9: False}
    assert with_words(labels, "r.").tolist() == [False, True, False, False]  # letters, no pattern
    assert with_words(labels, "  ").all()


def test_accents_need_not_be_typed() -> None:
    labels = pd.Series(["Alfvén waves", "Alfven", "Wave"])
    for typed in ("alfven", "ALFVÉN", "alfve\u0301n"):
        assert with_words(labels, typed).tolist() == [True, True, False]
