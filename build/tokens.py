"""How many tokens a text has, without the model's vocabulary."""


def tokens_at_most(text: str) -> int:
    """A cautious estimate: prose has 4 to 5 characters a token, formulas 2 to 3, other scripts up to 1.

    The exact count needs the model's vocabulary, which is a download.
    """
    n_ascii = len(text.encode("ascii", "ignore"))
    return n_ascii * 2 // 5 + 2 * (len(text) - n_ascii) + 1
