"""Redaction of secrets from response texts before they go into errors and logs. Pure.

A response may echo a credential of the request: as sent, truncated, or escaped for a URL, JSON or HTML, even several
times over. Before the search the text is therefore normalized to what a browser or a log viewer would show:

1. URL, JSON and HTML escapes are decoded, up to `_MAX_LAYERS` times;
2. whitespace is dropped;
3. case is folded.

Each normalized character keeps its start and end in the original text. Any 12 consecutive characters of a secret
that occur in the normalized text (or the whole secret, if it is shorter) are replaced in the original by ``***``.

Invariants:

- Text outside of matches does not change.
- Secrets shorter than 8 characters are ignored: they could be ordinary words.
- The time that `excerpt` takes does not depend on the length of the text.
"""

from __future__ import annotations

import base64
import html
import re
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

__all__ = ["NO_SECRETS", "Secrets", "credentials_in", "proxy_credentials"]

_MIN_SECRET_LENGTH: Final = 8
"""Shorter secrets are ignored: they could be ordinary words, which would be redacted everywhere."""
_FRAGMENT_LENGTH: Final = 12
"""This many consecutive characters of a longer secret are redacted too."""

_LOOKAHEAD: Final = 16 * 1024
"""Characters that are searched beyond the end of an excerpt; longer than any secret in any escaped form."""

_UNESCAPED: Final = re.compile(r"[A-Za-z0-9_.:-]*")
"""Text without escapes and whitespace."""

_ESCAPE: Final = re.compile(
    r"%([0-9a-f]{2})|\\+(?:u([0-9a-f]{4})|x([0-9a-f]{2}))|&#x0*([0-9a-f]{1,6});|&#0*(\d{1,7});"
    r"|(&[a-z]{2,8};)|\\+[nrt]|\\+([^a-z0-9\s])|\s+",
    re.IGNORECASE,
)
_MAX_LAYERS: Final = 5
"""How many levels of escaping are decoded."""

_CREDENTIAL_NAME: Final = re.compile(
    "auth|token|secret|key|cookie|passw|credential|session|signature|assertion", re.IGNORECASE
)
"""Matches the names of headers and form fields that hold credentials."""


class Secrets:
    """A set of secrets to redact from texts.

    Its repr does not show them, because error reporters show the local variables of a traceback.
    """

    __slots__ = ("_fragments", "_hints", "_min_length", "_values")

    def __init__(self, values: Iterable[str] = ()) -> None:
        """Register secrets, and each word of a secret with several words, such as ``Bearer <token>``."""
        self._values = frozenset(
            part for value in values for part in (value, *value.split()) if len(part) >= _MIN_SECRET_LENGTH
        )
        shown = {"".join(_normalize(value).characters) for value in self._values}
        self._fragments = frozenset(
            part[start : start + _FRAGMENT_LENGTH]
            for part in shown
            for start in range(max(1, len(part) - _FRAGMENT_LENGTH + 1))
        )
        self._min_length = min(map(len, self._fragments), default=sys.maxsize)
        # Every fragment contains one of these, and they are far fewer, so that their search is a fast pre-check.
        half = _MIN_SECRET_LENGTH // 2
        self._hints = frozenset(
            part[start : start + half] for part in shown for start in range(0, len(part) - half + 1, half)
        )

    def __repr__(self) -> str:
        return f"<{len(self._values)} secrets>"

    def __or__(self, values: Iterable[str]) -> Secrets:
        """A set with the given secrets added."""
        return Secrets((*self._values, *values))

    def redact(self, text: str) -> str:
        """The text with secrets replaced by ``***``, also where they are escaped for URLs, JSON or HTML."""
        # Fast paths: nearly all texts are request ids, one in each response.
        if len(text) < self._min_length:
            return text
        if _UNESCAPED.fullmatch(text):
            lowered = text.lower()
            if not any(hint in lowered for hint in self._hints):
                return text
        normal = _normalize(text)
        shown = "".join(normal.characters)
        found: set[int] = set()
        for fragment in self._fragments:
            at = shown.find(fragment)
            while at >= 0:
                found.update(range(at, at + len(fragment)))
                at = shown.find(fragment, at + 1)
        return _replace_runs(text, normal, sorted(found)) if found else text

    def excerpt(self, text: str, length: int) -> str:
        """The first `length` characters of the redacted text; the time does not grow with the rest of the text."""
        excerpt = self.redact(text[: length + _LOOKAHEAD])
        if len(text) > length + _LOOKAHEAD:  # drop the end, where a truncated secret would not be found
            excerpt = excerpt[:-_LOOKAHEAD]
        return excerpt[:length]


class _NormalText(NamedTuple):
    """A normalized text: its characters, and the start and end of each in the original text."""

    characters: list[str]
    starts: list[int]
    ends: list[int]


def _normalize(text: str) -> _NormalText:
    characters, starts, ends = list(text), list(range(len(text))), list(range(1, len(text) + 1))
    for _ in range(_MAX_LAYERS):
        shown = "".join(characters)
        decoded = _NormalText([], [], [])
        done = 0
        for match in _ESCAPE.finditer(shown):
            start, end = match.span()
            decoded.characters.extend(characters[done:start])
            decoded.starts.extend(starts[done:start])
            decoded.ends.extend(ends[done:start])
            for character in _decode_escape(match):
                decoded.characters.append(character)
                decoded.starts.append(starts[start])
                decoded.ends.append(ends[end - 1])
            done = end
        if not done:
            break
        characters = decoded.characters + characters[done:]
        starts = decoded.starts + starts[done:]
        ends = decoded.ends + ends[done:]
    if (shown := "".join(characters)).isascii():  # each character is folded to one
        return _NormalText(list(shown.lower()), starts, ends)
    folded = [(letter, n) for n, character in enumerate(characters) for letter in character.casefold()]
    return _NormalText(
        [letter for letter, _ in folded], [starts[n] for _, n in folded], [ends[n] for _, n in folded]
    )


def _decode_escape(match: re.Match[str]) -> str:
    """The character that an escape stands for; empty for whitespace."""
    percent, json, python, hexadecimal, decimal, named, quoted = match.groups()
    if named:
        character = html.unescape(named)
        return character if len(character) == 1 else named
    digits = percent or json or python or hexadecimal
    code = int(digits, 16) if digits else int(decimal) if decimal else None
    if code is None:
        return quoted or ""
    character = chr(code) if code <= sys.maxunicode else "?"
    return "" if character.isspace() else character


def _replace_runs(text: str, normal: _NormalText, found: list[int]) -> str:
    """The original text with each run of found characters replaced by ``***``."""
    parts: list[str] = []
    done, previous = 0, -2
    for index in found:
        if index != previous + 1:
            parts += [text[done : max(done, normal.starts[index])], "***"]
        done, previous = max(done, normal.ends[index]), index
    return "".join([*parts, text[done:]])


NO_SECRETS: Final = Secrets()


def credentials_in(fields: Mapping[str, object]) -> Collection[str]:
    """The values of headers or form fields whose names suggest credentials."""
    return [
        value for name, value in fields.items() if isinstance(value, str) and _CREDENTIAL_NAME.search(name)
    ]


def proxy_credentials(proxy: str | None) -> Collection[str]:
    """The password in a proxy URL, and the encoded credentials of its ``Proxy-Authorization`` header."""
    parts = urlsplit(proxy or "")
    if parts.password is None:
        return ()
    user, password = unquote(parts.username or ""), unquote(parts.password)
    return password, base64.b64encode(f"{user}:{password}".encode()).decode()
