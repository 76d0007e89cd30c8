"""A local server for what asks embeddings or a language model, and every way in which servers misbehave."""

import json
import socket
import time
from collections.abc import Callable
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

CANARY = "sk-canary-5f0c7e1d"

SPENT = {
    "error": {
        "message": "You exceeded your quota",
        "type": "insufficient_quota",
        "code": "insufficient_quota",
    }
}


def send(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(body), status, headers, content_type="application/json")


def serve(server: HTTPServer, path: str, answer: Callable[[dict[str, Any], int], Response]) -> list[Request]:
    """Let ``answer(body, number of the call)`` answer; the list fills with the requests."""
    calls: list[Request] = []

    def handle(request: Request) -> Response:
        calls.append(request)
        return answer(json.loads(request.get_data()), len(calls) - 1)

    server.expect_request(path, method="POST").respond_with_handler(handle)
    return calls


def hang(seconds: float) -> None:
    time.sleep(seconds)


def cut(request: Request) -> Response:
    """End the connection without an answer."""
    request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    return Response()
