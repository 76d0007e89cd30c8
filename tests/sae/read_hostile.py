"""Read all of some stores in a process that notes every file it opens; one line of JSON for each store.

Arguments: the stores. Run by test_hostile.py.
"""

import json
import os
import sys
import time
from pathlib import Path

from sae.errors import UserError
from sae.store import open_store
from tests.sae.pieces import in_python, pieces

ALLOWED = [
    os.path.realpath(p)
    for p in (
        sys.prefix,
        sys.base_prefix,
        "/proc",
        "/sys",
        "/dev",
        "/usr/share/zoneinfo",
        Path(__file__).parents[2],
    )
]


def read_everything(root: Path) -> None:
    """Read what the pages read. Raises UserError."""
    for _, read in pieces(open_store(root)):
        in_python(read())


def _peak() -> int:
    """Most memory that this process has had so far, in MB; rusage would count what its parent had."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def main() -> None:
    foreign: list[str] = []
    here = [""]

    def hook(event: str, arguments: tuple) -> None:
        if event in ("open", "os.listdir", "os.scandir") and isinstance(
            arguments[0], str | bytes | os.PathLike
        ):
            path = os.path.realpath(os.fsdecode(arguments[0]))
            if not any(path == root or path.startswith(root + os.sep) for root in [*ALLOWED, *here]):
                foreign.append(path)
        elif event in (
            "subprocess.Popen",
            "os.system",
            "os.mkdir",
            "socket.connect",
            "os.exec",
            "pickle.find_class",
        ):
            foreign.append(f"{event} {arguments}")

    sys.addaudithook(hook)
    for root in sys.argv[1:]:
        here[0] = os.path.realpath(root)
        # Of the processor's time: a busy machine is no hang, and what waits for ever ends the test.
        started, said, kind = time.process_time(), "", "read"
        try:
            read_everything(Path(root))
        except UserError as error:
            said, kind = str(error), "refused"
        except BaseException as error:
            said, kind = f"{type(error).__name__}: {error}", "broke"
        peak = _peak()
        seconds = round(time.process_time() - started, 2)
        print(
            json.dumps({"kind": kind, "said": said, "seconds": seconds, "peak": peak, "foreign": foreign}),
            flush=True,
        )
        foreign.clear()


if __name__ == "__main__":
    main()
