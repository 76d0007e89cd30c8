"""Docstrings of every style become the prose in them."""

import pytest

from build.corpora.prose import prose

NUMPYDOC = """
    dot(a, b, out=None)

    Multiply :class:`~numpy.ndarray` ``a`` with `b`, as *defined* by **Gauss** [1]_.

    For 2-D arrays see :func:`matrix product <numpy.matmul>`; the formula is::

        sum(a[i, :] * b[:, j])

    Parameters
    ----------
    a : array_like
        First argument.

    Returns
    -------
    output : ndarray
        The product.

    Notes
    -----
    Uses `BLAS <https://www.netlib.org>`_ where it can:

    * real numbers,
    * complex numbers.

    .. versionadded:: 1.2
       Not said.

    .. note:: Slow for objects.

    References
    ----------
    .. [1] C. F. Gauss, 1809.

    Examples
    --------
    >>> np.dot(3, 4)
    name: int
    ----
    12
    """


GOOGLE = """Train the model until it converges.

Training stops early when nothing improves.

Args:
    steps (int): how many steps.

        More about steps.
    rate: how fast.

Returns:
    The trained model.

Note:
    Runs on one processor.

Example::

    >>> train(3)
    3

Closing words are kept.
"""


SPHINX = """Send a request.

:param url: where to
    send it.
:type url: str
:returns: an answer
:rtype: Response

.. code-block:: python

   send("x")

| a | b |
|---|---|
| 1 | 2 |

See [the guide](https://example.org/guide) for more.

```python
send("y")
```
"""


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        (
            NUMPYDOC,
            "Multiply ndarray a with b, as defined by Gauss."
            "\n\nFor 2-D arrays see matrix product; the formula is:"
            "\n\nUses BLAS where it can:\n\n- real numbers,\n\n- complex numbers.\n\nSlow for objects.",
        ),
        (
            GOOGLE,
            "Train the model until it converges.\n\nTraining stops early when nothing improves."
            "\n\nRuns on one processor.\n\nClosing words are kept.",
        ),
        (SPHINX, "Send a request.\n\nSee the guide for more."),
        ("%(before)s Apply {name} to the %(klass)s data.", "Apply to the data."),
        ("abs(input, *, out=None) -> Tensor\n\nComputes the absolute value.", "Computes the absolute value."),
        ("array(\n    object,\n    like=None\n)\n--\n\nCreate an array.", "Create an array."),
        (
            'Opens [`File`].\n\n..  A comment\n    over lines\n\n!!! tip "Hint"\n    Close it.',
            "Opens File.\n\nClose it.",
        ),
        ("", ""),
        (">>> only(code)", ""),
    ],
)
def test_prose_is_what_is_said_in_words(docstring: str, expected: str) -> None:
    assert prose(docstring) == expected


@pytest.mark.parametrize("text", ["Snake_case and 2*3*4 stay.", "Uses a < b > c.", "A [list] of (things)."])
def test_prose_leaves_ordinary_text_alone(text: str) -> None:
    assert prose(text) == text
