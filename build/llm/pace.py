"""When the next call may be sent: one rhythm for all threads that ask one server."""

import email.utils
import random
import threading
import time
from collections.abc import Callable, Mapping

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 60.0  # seconds, without word from the server


class Pace:
    """At most ``per_minute`` calls, and none while the server has asked for a pause."""

    def __init__(
        self,
        per_minute: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._clock, self.sleep = clock, sleep
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self) -> None:
        """Return when it is this caller's turn."""
        while True:
            with self._lock:
                left = self._next - self._clock()
                if left <= 0:
                    self._next = self._clock() + self._gap
                    return
            self.sleep(left)

    def hold(self, seconds: float) -> None:
        """Nobody calls for a while."""
        with self._lock:
            self._next = max(self._next, self._clock() + seconds)


def pause_after(tries: int) -> float:
    """Seconds to wait after the n-th failure in a row: doubling, with chance, so that callers spread."""
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**tries) * random.uniform(0.75, 1.25)


def asked_pause(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float | None:
    """Seconds that a reply's headers ask to wait: retry-after in milliseconds, seconds or as a date."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    try:
        date = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
    except (TypeError, ValueError):
        return None
    return max(0.0, date.timestamp() - now())
