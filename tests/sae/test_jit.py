"""Compiled code is not served from the cache once a kernel that it calls has changed."""

import shutil
import subprocess
import sys
from pathlib import Path

import sae.compiled.jit

CALLER = """
from sae.inner import inner
from sae.compiled.jit import compiled

@compiled
def outer(x):
    return 10 * inner(x)

print(outer(1), sum(outer.stats.cache_hits.values()))
"""


def test_a_changed_callee_in_another_file_is_compiled_anew(tmp_path: Path) -> None:
    package = tmp_path / "sae"
    (package / "compiled").mkdir(parents=True)
    shutil.copy(sae.compiled.jit.__file__, package / "compiled" / "jit.py")
    (package / "outer.py").write_text(CALLER)

    def outer_of_one(added: int) -> tuple[str, str]:
        inner = f"from sae.compiled.jit import compiled\n\n@compiled\ndef inner(x):\n    return x + {added}\n"
        (package / "inner.py").write_text(inner)
        command = [sys.executable, "-m", "sae.outer"]
        found, hits = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout.split()
        return found, hits

    assert outer_of_one(1) == ("20", "0")
    assert outer_of_one(1) == ("20", "1")
    assert outer_of_one(2) == ("30", "0")
