from hypothesis import given
from hypothesis import strategies as st

from sae.labelling.cutting import cut_to_bytes


@given(st.text(), st.integers(4, 40))
def test_what_is_cut_fits_and_begins_the_text(text: str, most: int) -> None:
    found = cut_to_bytes(text, most)
    assert len(found.encode()) <= most
    assert text.startswith(found)
    assert found == text or len(text.encode()) > most


def test_a_cut_falls_between_words_and_never_inside_a_letter() -> None:
    assert cut_to_bytes("alpha beta gamma", 12) == "alpha beta"
    assert cut_to_bytes("alpha beta", 10) == "alpha beta"
    assert cut_to_bytes("é" * 10, 5) == "éé"
