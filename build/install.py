"""``python3 -m build.install``: put the pinned requirements into the Python in use, or into .venv.

An active virtual environment, or a container's own Python, is used as it is. Where Python belongs to the operating
system (PEP 668) or cannot be written to, ``.venv`` is made beside this project. Prints the interpreter to go on
with as its only line on standard output. Uses the standard library alone, since it runs before anything is there.
"""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parent.parent
REQUIREMENTS = ROOT / "requirements.txt"
_MISSING = """
import sys
from importlib.metadata import PackageNotFoundError, version
for pin in sys.argv[1:]:
    name, wanted = pin.split("==")
    try:
        found = version(name).split("+")[0]
    except PackageNotFoundError:
        found = "none"
    if found != wanted:
        print(f"{name} {wanted} (found {found})")
"""


def main() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 — this file is run by whatever Python the user has
        return _fail(f"Sextant needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}.")
    python = sys.executable
    if not _is_ours_to_fill():
        venv = ROOT / ".venv"
        python = str(venv / "bin" / "python")
        if not _has_pip(python):
            _say(f"This Python belongs to the system; making {venv.name} beside the Makefile …")
            command = [sys.executable, "-m", "venv", "--clear", str(venv)]
            if subprocess.run(command, stdout=sys.stderr).returncode or not _has_pip(python):
                return _fail(
                    "The virtual environment could not be made; on Debian: apt install python3-venv."
                )
    lacking = missing(python)
    if lacking:
        _say(f"Installing {len(lacking)} packages from requirements.txt …")
        command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action",
                   "ignore", "-r", str(REQUIREMENTS)]  # fmt: skip
        if subprocess.run(command, stdout=sys.stderr).returncode:
            return _fail("The installation failed; the lines above say why. Run the same command again.")
        if still := missing(python):
            return _fail(f"After the installation these are still missing: {', '.join(still)}.")
    print(python)
    return 0


def _is_ours_to_fill() -> bool:
    """Whether packages may go into the running Python: a virtual environment, or an unmanaged writable one."""
    if sys.prefix != sys.base_prefix:
        return True
    managed = Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED"
    return not managed.exists() and os.access(sysconfig.get_path("purelib"), os.W_OK)


def _has_pip(python: str) -> bool:
    """Whether an interpreter is there and can install packages; a half-made environment cannot."""
    try:
        return not subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode
    except OSError:
        return False


def missing(python: str) -> list[str]:
    """The pinned packages that an interpreter lacks or has in another version."""
    command = [python, "-c", _MISSING, *pins(REQUIREMENTS)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def pins(path: Path) -> list[str]:
    """Lines such as ``numpy==2.4.6`` of a requirements file and of those that it includes with -r."""
    found: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.split("#")[0].strip()
        if text.startswith("-r "):
            found += pins(path.parent / text[3:].strip())
        elif text:
            found.append(text.split(";")[0].strip())
    return found


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _fail(sentence: str) -> int:
    _say(f"sextant: {sentence}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
