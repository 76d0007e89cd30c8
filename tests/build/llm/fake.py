"""A language model that reads: it names the planted topic, and predicts by looking for the label in the text."""

import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.build.servers import send

Trouble = Callable[[dict[str, Any], int, Request], Response | str | None]


def completion(content: str | None, **changes: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, "refusal": changes.pop("refusal", None)}
    choice = {"index": 0, "message": message, "finish_reason": changes.pop("finish_reason", "stop")}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    return {"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage} | changes


def right_answer(body: dict[str, Any]) -> str:
    """What a good model says to a question of the Interpreter, the Predictor, or anybody else."""
    asked = json.loads(body["messages"][1]["content"])
    if "feature_id" in asked:
        topic = re.match(r"On (.*)\n", asked["active"][0]["document"])[1]
        labels = [
            {"reason": "all say so", "label": label} for label in ("Good performance", topic.title(), "Data")
        ]
        return json.dumps({"feature_id": asked["feature_id"], "labels": labels})
    confidence = 0.9 if asked["label"].lower() in asked["document"].lower() else -0.8
    return json.dumps({"question": asked["question"], "confidence": confidence})


class FakeModel:
    """Serves chat completions. ``trouble(body, number, request)``: another response, another content, or None.

    calls: bodies in order; billed: how often each call, by its idempotency key, was answered with a completion.
    """

    def __init__(self, server: HTTPServer, trouble: Trouble | None = None) -> None:
        self.calls: list[dict[str, Any]] = []
        self.billed: Counter[str] = Counter()
        self.keys: list[str] = []
        self._lock = threading.Lock()
        self._trouble = trouble or (lambda body, number, request: None)
        server.expect_request("/v1/chat/completions", method="POST").respond_with_handler(self._handle)

    def _handle(self, request: Request) -> Response:
        body = json.loads(request.get_data())
        with self._lock:
            number = len(self.calls)
            self.calls.append(body)
            self.keys.append(request.headers["Idempotency-Key"])
        found = self._trouble(body, number, request)
        if isinstance(found, Response):
            return found
        with self._lock:
            self.billed[request.headers["Idempotency-Key"]] += 1
        return send(completion(found if isinstance(found, str) else right_answer(body)))
