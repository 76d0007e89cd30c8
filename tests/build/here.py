"""``python -m build`` in the process of the tests, which has imported everything: its start takes ten seconds of a
processor's time. Where a process is killed, or starts others, a test runs the command itself."""

import pytest

from build.__main__ import app


def build(*arguments: object) -> int:
    """Run the command with these arguments and ``--plain``; its exit code."""
    with pytest.raises(SystemExit) as ended:
        app([*map(str, arguments), "--plain"])
    return int(ended.value.code or 0)
