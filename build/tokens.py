"""How many tokens a text has, without the model's vocabulary, which is a download."""


def tokens_about(text: str) -> int:
    """A cautious estimate: prose has 4 to 5 characters a token, formulas 2 to 3, other scripts up to 1.

    Good enough to cut texts and to say what something will likely cost; text may be stranger than that.
    """
    n_ascii = len(text.encode("ascii", "ignore"))
    return n_ascii * 2 // 5 + 2 * (len(text) - n_ascii) + 1


def tokens_at_most(text: str) -> int:
    """No text has more: a token of the vocabularies that are sold is at least one byte of UTF-8.

    What is promised to a budget is counted like this, four to five times what prose comes to.
    """
    return len(text.encode("utf-8", "replace")) + 1
