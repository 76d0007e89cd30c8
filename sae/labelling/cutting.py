"""Texts made to fit the limits of a store, which count bytes of UTF-8."""


def cut_to_bytes(text: str, most: int) -> str:
    """The longest beginning of ``text`` within ``most`` bytes, back to the end of a word if there is one near."""
    encoded = text.encode("utf-8")
    if len(encoded) <= most:
        return text
    head = encoded[:most].decode("utf-8", "ignore")
    if not text[len(head)].isspace():
        space = max(head.rfind(" "), head.rfind("\n"))
        if space > 0.8 * len(head):
            head = head[:space]
    return head.rstrip()
