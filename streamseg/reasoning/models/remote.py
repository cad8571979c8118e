"""A chat endpoint that takes pictures, by OpenAI's protocol; sends, waits, tries again, reads.

The key comes from the environment and goes into one header: no message shows it.
"""

from __future__ import annotations

import base64
import json
import os
import random
import re
import time
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import cv2

from streamseg.config import RemoteConfig
from streamseg.errors import ConfigError, MissingDependencyError, ReasoningError
from streamseg.masking import MASK, legible, mask
from streamseg.reasoning.language import schema
from streamseg.reasoning.language.coordinates import Family, family_of, type_from_name
from streamseg.reasoning.language.prompt import Prompt, Shown
from streamseg.reasoning.models.chat import Completion, shown_size

if TYPE_CHECKING:
    import httpx2

MOST_BYTES = 4 * 1024 * 1024
"""A longer answer is not read."""
_JPEG_QUALITY = 92
_AGAIN = frozenset((408, 409, 425, 429, 500, 502, 503, 504))
_LONGEST_PAUSE_S = 30.0
_LEAST_S = 0.05
_SLACK = 2
"""Times the budget of thinking that the endpoint may write: a limit cuts off with nothing."""
_NOW = "Stop thinking. Give the answer now, in the form asked for and with nothing before it."


def prepare(config: RemoteConfig) -> None:
    """Make sure of what can be known without asking the endpoint.

    Raises:
        ConfigError: No address, no model, no key where one is named, or an unknown family.
        MissingDependencyError: httpx2 is not installed.
    """
    for name in ("url", "model"):
        if not getattr(config, name):
            raise ConfigError(
                f"reasoning.remote.{name}: expected one, got none; an endpoint takes "
                "reasoning.remote.url=http://localhost:8000/v1 and reasoning.remote.model=NAME"
            )
    _family(config)
    _key(config)
    if find_spec("httpx2") is None:
        raise MissingDependencyError("httpx2", "remote")


class RemoteChat:
    """Implements `Chat` over HTTP."""

    def __init__(self, config: RemoteConfig, most: int = 16) -> None:
        """Connects to nothing yet.

        Args:
            most: Objects in an answer, where it is held to a schema.

        Raises:
            ConfigError, MissingDependencyError: As `prepare`.
        """
        prepare(config)
        import httpx2

        self.family = _family(config)
        self.pictures = config
        self.as_json = config.json_schema
        self._config = config
        self._most = most
        url = config.url.rstrip("/")
        self._url = url if url.endswith("/chat/completions") else f"{url}/chat/completions"
        self._key = _key(config)
        self._client = httpx2.Client(headers=authorization(config), follow_redirects=False)

    def complete(self, asked: Prompt, until: float) -> Completion:
        """See `Chat.complete`. Thinking that was cut off for its length is followed by one more
        turn that asks for the answer alone."""
        messages = self._messages(asked)
        held = asked.objects and self.as_json
        text, tokens, cut = self._ask(messages, asked.budget, until, held)
        if not (cut and asked.thinks and "<answer>" not in text) or held:
            return Completion(text, tokens)
        turns = [{"role": "assistant", "content": text}, {"role": "user", "content": _NOW}]
        answered, more, _ = self._ask([*messages, *turns], 0, until, held)
        if not answered.lstrip().lower().startswith(("<think>", "<answer>")):
            answered = f"<answer>{answered}"
        return Completion(
            f"{text}</think>{answered}", tokens + more, ("over its budget, asked to answer",)
        )

    def _ask(
        self, messages: list[dict[str, Any]], budget: int, until: float, held: bool
    ) -> tuple[str, int, bool]:
        """One turn, `held` to the schema or not: what the model wrote, its tokens, and whether it
        was cut off."""
        config = self._config
        body: dict[str, Any] = {
            "model": config.model,
            "messages": messages,
            config.tokens_key: _SLACK * budget + config.answer_tokens,
        }
        if config.temperature is not None:
            body["temperature"] = config.temperature
        if held:
            form = {"name": "grounding", "strict": True, "schema": schema.whole(self._most)}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        return self._read(self._post(json.dumps(body).encode(), until))

    def _post(self, body: bytes, until: float) -> bytes:
        """Send until there is an answer, the tries are spent or the time is."""
        trouble = ""
        for attempt in range(self._config.retries + 1):
            left = until - time.monotonic()
            if left < _LEAST_S:
                break
            pause, trouble, content = self._try(body, until)
            if content is not None:
                return content
            if pause < 0:
                raise self._error(trouble)
            wait = max(pause, self._config.retry_s * 2.0**attempt * random.uniform(0.5, 1.5))
            if attempt == self._config.retries or time.monotonic() + wait > until - _LEAST_S:
                break
            time.sleep(wait)
        raise self._error(trouble or "no time was left to ask it")

    def _try(self, body: bytes, until: float) -> tuple[float, str, bytes | None]:
        """One try: how long its refusal asks to wait (below 0: for ever), why, and what came."""
        import httpx2

        left = max(until - time.monotonic(), _LEAST_S)
        patience = min(self._config.timeout_s, left)
        headers = {"Content-Type": "application/json"}
        try:
            with self._client.stream(
                "POST", self._url, content=body, headers=headers, timeout=patience
            ) as response:
                content = self._content(response, until)
                return self._judged(response, content)
        except httpx2.TimeoutException:
            spent = time.monotonic() >= until - _LEAST_S
            return (-1.0 if spent else 0.0), f"no answer within {patience:.1f} s", None
        except httpx2.TransportError as error:
            return 0.0, _brief(f"{type(error).__name__}: {error}"), None
        except (httpx2.InvalidURL, httpx2.HTTPError) as error:
            return -1.0, _brief(f"{type(error).__name__}: {error}"), None

    def _content(self, response: httpx2.Response, until: float) -> bytes:
        """All of an answer: bounded in bytes, and in time though it may come in drops.

        Raises:
            ReasoningError: One of the bounds was passed.
        """
        pieces = bytearray()
        for piece in response.iter_bytes():
            pieces += piece
            if len(pieces) > MOST_BYTES:
                raise self._error(f"its answer is longer than {MOST_BYTES} bytes")
            if time.monotonic() > until:
                raise self._error("its answer was not whole when the time was over")
        return bytes(pieces)

    def _judged(self, response: httpx2.Response, content: bytes) -> tuple[float, str, bytes | None]:
        status = response.status_code
        if 200 <= status < 300:
            return 0.0, "", content
        told = f"HTTP {status}: {_complaint(content)}"
        if 300 <= status < 400:
            return -1.0, f"HTTP {status}: it points elsewhere, which is not followed", None
        if status in (401, 403):
            named = self._config.key_env
            remedy = f"is the key in {named} right?" if named else "set reasoning.remote.key_env"
            return -1.0, f"{told}; {remedy}", None
        if status == 404:
            return -1.0, f"{told}; is reasoning.remote.url up to /v1, and the model known?", None
        return (_pause(response.headers) if status in _AGAIN else -1.0), told, None

    def _read(self, content: bytes) -> tuple[str, int, bool]:
        """A body by OpenAI's protocol: text, tokens, and whether it ended for its length."""
        try:
            body = json.loads(content)
            choice = body["choices"][0]
            message = choice["message"]
            text = message.get("content") or ""
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise self._error(f"expected a chat completion, got {_complaint(content)}") from None
        if isinstance(text, list):  # some endpoints answer in parts
            text = "".join(str(part.get("text", "")) for part in text if isinstance(part, dict))
        refused = message.get("refusal")
        if refused and not text:
            raise self._error(f"the model refused: {_brief(str(refused))}")
        thought = message.get("reasoning_content") or message.get("reasoning") or ""
        if isinstance(thought, str) and thought.strip() and "<think>" not in str(text):
            text = f"<think>{thought}</think>{text}"
        if not isinstance(text, str) or not text.strip():
            raise self._error("expected text in its answer, got none")
        used = body.get("usage") if isinstance(body, dict) else None
        counted = used.get("completion_tokens") if isinstance(used, dict) else None
        tokens = counted if isinstance(counted, int) and 0 <= counted < 2**31 else 0
        return text, tokens or len(text.split()), choice.get("finish_reason") == "length"

    def _messages(self, asked: Prompt) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = []
        for part in asked.parts:
            if isinstance(part, str):
                parts.append({"type": "text", "text": part})
            else:
                url = {"url": self._data_url(part)}
                parts.append({"type": "image_url", "image_url": url})
        return [
            {"role": "system", "content": asked.system},
            {"role": "user", "content": parts},
        ]

    def _data_url(self, shown: Shown) -> str:
        size = shown_size(self.family, self.pictures, shown)
        sized = cv2.resize(shown.frame.image, size, interpolation=cv2.INTER_AREA)
        bgr = cv2.cvtColor(sized, cv2.COLOR_RGB2BGR)
        kind = self._config.image_format
        options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if kind == "jpeg" else []
        done, encoded = cv2.imencode(f".{kind}", bgr, options)
        if not done:
            raise ReasoningError(f"a picture of {size[0]}x{size[1]} cannot be written as {kind}")
        return f"data:image/{kind};base64,{base64.b64encode(encoded.tobytes()).decode()}"

    def _error(self, trouble: str) -> ReasoningError:
        told = mask(f"{legible(self._url)}: {trouble}")
        return ReasoningError(told.replace(self._key, MASK) if self._key else told)


def _family(config: RemoteConfig) -> Family:
    kind = type_from_name(config.model) if config.family == "auto" else config.family
    return family_of(kind, config.model, config.convention)


def authorization(config: RemoteConfig) -> dict[str, str]:
    """Headers that carry the key, none where none is named. Raises ConfigError as `prepare`."""
    key = _key(config)
    return {"Authorization": f"Bearer {key}"} if key else {}


def _key(config: RemoteConfig) -> str:
    """The key, empty where none is named.

    Raises:
        ConfigError: The variable is not set, or holds what can be no key.
    """
    if not config.key_env:
        return ""
    key = os.environ.get(config.key_env, "").strip()
    if not key:
        raise ConfigError(
            f"reasoning.remote.key_env: expected a key in the environment variable "
            f"{config.key_env}, got none; set it where streamseg is started"
        )
    if not re.fullmatch(r"[\x21-\x7e]{4,4096}", key):
        raise ConfigError(
            f"reasoning.remote.key_env: expected printable ASCII without spaces in "
            f"{config.key_env}, got something else"
        )
    return key


def _pause(headers: Mapping[str, str]) -> float:
    """Seconds that a refusal asks to wait."""
    told = headers.get("retry-after", "")
    found = re.fullmatch(r"\d{1,6}(?:\.\d{1,6})?", told.strip())
    return min(float(found[0]), _LONGEST_PAUSE_S) if found else 0.0


def _complaint(content: bytes) -> str:
    """What a body says is wrong: the message in its JSON, or its beginning."""
    try:
        body = json.loads(content)
        error = body.get("error", body) if isinstance(body, dict) else body
        told = error.get("message", error) if isinstance(error, dict) else error
        text = told if isinstance(told, str) else json.dumps(told)
    except (ValueError, RecursionError):
        text = content[:1000].decode("utf-8", "replace")
    return _brief(text) if text.strip() else "nothing"


def _brief(text: str) -> str:
    line = " ".join(text[:2000].split())
    line = "".join(letter for letter in line if letter.isprintable())
    return line if len(line) <= 200 else f"{line[:200]}…"
