"""Fetch a file over https: capped in size, resumed where it stopped, given up when it stalls, never led astray.

Redirects are followed to https only, a few times, and never from a public address to a private one. Plain http
is taken from this machine alone, for tests and local servers. The standard library does the talking.
"""

import http.client
import ipaddress
import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TIMEOUT = 30.0  # seconds without a byte
STALL_SECONDS = 60.0  # in which STALL_BYTES must come, or the server counts as stalled
STALL_BYTES = 4096
TRIES = 4
SMALL_TRIES, SMALL_TIMEOUT, SMALL_SECONDS = 2, 10.0, 20.0  # of a file that a page waits for
WAIT = 0.5  # seconds before the second try; doubled each time
REDIRECTS = 5
_BLOCK = 1 << 16
_AGENT = {"User-Agent": "sextant", "Accept-Encoding": "identity"}
_LOCAL = ("127.0.0.1", "::1", "localhost")


class DownloadError(Exception):
    """A phrase that says why nothing was fetched. ``status`` is the server's answer where it gave one."""

    def __init__(self, phrase: str, status: int = 0) -> None:
        super().__init__(phrase)
        self.status = status


class _PassingError(Exception):
    """A fault that may be gone at the next try."""


def check_url(url: str) -> None:
    """https with a host and without a password, or http on this machine; else DownloadError."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        parts.port  # noqa: B018 - raises on a port that is none
    except ValueError:
        raise DownloadError("the address is not one") from None
    if parts.username or parts.password:
        raise DownloadError("the address holds a password; use a public address")
    if parts.scheme == "http" and host in _LOCAL:
        return
    if parts.scheme != "https" or not host:
        raise DownloadError("only https addresses are fetched")


def small(url: str, most: int) -> bytes:
    """All of a small file of at most ``most`` bytes."""
    kept = bytearray()

    def read() -> None:
        kept.clear()
        with _open(url, 0, SMALL_TIMEOUT) as response:
            _receive(response, kept.extend, most, SMALL_SECONDS)

    _with_tries(read, SMALL_TRIES)
    return bytes(kept)


def size_of(url: str) -> tuple[int, str]:
    """(bytes of a file as its server says, a mark that changes when the file does)."""
    found: list[tuple[int, str]] = []

    def read() -> None:
        with _open(url, 0, SMALL_TIMEOUT) as response:
            length = response.headers.get("Content-Length") or ""
            if not length.isdigit():
                raise DownloadError("the server does not say how large it is")
            headers = (response.headers.get(name) for name in ("ETag", "Last-Modified"))
            found.append((int(length), " ".join([length, *map(str, headers)])))

    _with_tries(read, SMALL_TRIES)
    return found[-1]


def to_file(url: str, target: Path, size: int, arrived: Callable[[int], None] | None = None) -> None:
    """Fetch exactly ``size`` bytes into ``target``, going on from what it holds already.

    ``arrived`` is told how many bytes each block adds. Raises DownloadError, OSError when the disk fails.
    """
    tell = arrived or (lambda n: None)

    def read() -> None:
        start = target.stat().st_size if target.exists() else 0
        if start > size:
            target.unlink()
            start = 0
        if start == size and target.exists():
            return
        with _open(url, start) as response:
            resumed = response.status == 206 and _starts_at(response, start)
            if start and not resumed:
                tell(-start)
                start = 0
            length = response.headers.get("Content-Length")
            if length is not None and length.isdigit() and int(length) != size - start:
                raise DownloadError(f"the server sends {int(length):,} bytes instead of {size - start:,}")
            with target.open("r+b" if resumed else "wb") as file:
                file.seek(start)

                def keep(block: bytes) -> None:
                    file.write(block)
                    tell(len(block))

                got = _receive(response, keep, size - start)
            if start + got < size:
                raise _PassingError(f"the server stopped after {start + got:,} of {size:,} bytes")

    _with_tries(read)


def _with_tries(read: Callable[[], None], tries: int = TRIES) -> None:
    for number in range(tries):
        try:
            return read()
        except urllib.error.HTTPError as error:
            error.close()
            fault = DownloadError(f"the server answers {error.code} ({str(error.reason)[:60]})", error.code)
            if error.code not in (408, 429) and error.code < 500:
                raise fault from None
        except _PassingError as error:
            fault = DownloadError(str(error))
        except (http.client.HTTPException, ConnectionError, TimeoutError, urllib.error.URLError) as error:
            reason = getattr(error, "reason", None) or error
            fault = DownloadError(" ".join(str(reason).split())[:120] or type(error).__name__)
        if number + 1 < tries:
            time.sleep(WAIT * 2**number)
    raise fault


def _open(url: str, start: int, timeout: float = TIMEOUT) -> Any:
    check_url(url)
    headers = _AGENT | ({"Range": f"bytes={start}-"} if start else {})
    handlers: list[urllib.request.BaseHandler] = [_Redirects(url)]
    if not _is_local(url) and not urllib.request.getproxies():  # through a proxy the peer is the proxy
        handlers.append(_PublicHTTPS())
    return urllib.request.build_opener(*handlers).open(
        urllib.request.Request(url, headers=headers), timeout=timeout
    )


def _receive(response: Any, keep: Callable[[bytes], Any], most: int, seconds: float | None = None) -> int:
    """Hand on what a server sends, at most ``most`` bytes, in ``seconds`` where given; how many there were."""
    got = seen = 0
    started = since = time.monotonic()
    while block := response.read1(_BLOCK):
        got += len(block)
        if got > most:
            raise DownloadError(f"the server sends more than the {most:,} bytes that there should be")
        keep(block)
        if seconds is not None and time.monotonic() - started > seconds:
            raise DownloadError("the server is too slow to wait for")
        if time.monotonic() - since > STALL_SECONDS:
            if got - seen < STALL_BYTES:
                raise DownloadError("the server has all but stopped sending")
            seen, since = got, time.monotonic()
    return got


def _starts_at(response: Any, start: int) -> bool:
    return str(response.headers.get("Content-Range", "")).startswith(f"bytes {start}-")


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in _LOCAL


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a few redirects, from https to https, and to this machine only from this machine."""

    max_redirections = REDIRECTS
    max_repeats = 2

    def __init__(self, url: str) -> None:
        self._local = _is_local(url)

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        check_url(newurl)
        if _is_local(newurl) and not self._local:
            raise DownloadError("the server redirects to this machine")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _PublicConnection(http.client.HTTPSConnection):
    """Speaks to public addresses only: a name or a redirect must not lead into a private network."""

    def connect(self) -> None:
        for *_, place in socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM):
            if not ipaddress.ip_address(str(place[0]).split("%")[0]).is_global and not _private_allowed():
                raise DownloadError(
                    f"{self.host[:80]} is an address in a private network (SEXTANT_PRIVATE=1 allows it)"
                )
        super().connect()
        peer = ipaddress.ip_address(str(self.sock.getpeername()[0]).split("%")[0])
        if not peer.is_global and not _private_allowed():  # a name that was answered twice, differently
            self.close()
            raise DownloadError("its name leads into a private network")


class _PublicHTTPS(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_PublicConnection, req)


def _private_allowed() -> bool:
    return os.environ.get("SEXTANT_PRIVATE") == "1"
