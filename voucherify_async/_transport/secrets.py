"""What a request holds and errors must not show, should an answer repeat it. Pure.

A text is read the way a browser or a log viewer would show it: escapes of URLs, JSON and HTML are decoded, as often as
they were applied, and whitespace is left out. In what is left, secrets are looked for without regard to case, whole or
cut off. What stands for them in the text is replaced.
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

_SHORTEST: Final = 8
"""A shorter one is a word, not a secret: it would be cut out of every text."""
_PIECE: Final = 12
"""So many characters in a row of a longer secret are cut out, too."""

_SPARE: Final = 16 * 1024
"""Characters that are looked through beyond those that are kept: longer than any secret in any spelling."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:-]*")
"""Text in which a character can only stand for itself."""

_ESCAPE: Final = re.compile(
    r"%([0-9a-f]{2})|\\+(?:u([0-9a-f]{4})|x([0-9a-f]{2}))|&#x0*([0-9a-f]{1,6});|&#0*(\d{1,7});"
    r"|(&[a-z]{2,8};)|\\+[nrt]|\\+([^a-z0-9\s])|\s+",
    re.IGNORECASE,
)
_MAX_LAYERS: Final = 5
"""How often a text may have been escaped."""

_CREDENTIAL: Final = re.compile(
    "auth|token|secret|key|cookie|passw|credential|session|signature|assertion", re.IGNORECASE
)
"""What the names of headers and form fields have in them whose values are credentials."""


class Secrets:
    """Cuts secrets out of texts.

    The object hides them: error reporters show the local variables of a traceback.
    """

    __slots__ = ("_hints", "_pieces", "_shortest", "_values")

    def __init__(self, values: Iterable[str] = ()) -> None:
        """Take the secrets, each also by the words it is made of, as in ``Bearer <token>``."""
        self._values = frozenset(
            part for value in values for part in (value, *value.split()) if len(part) >= _SHORTEST
        )
        shown = {"".join(_read(value).characters) for value in self._values}
        self._pieces = frozenset(
            part[start : start + _PIECE] for part in shown for start in range(max(1, len(part) - _PIECE + 1))
        )
        self._shortest = min(map(len, self._pieces), default=sys.maxsize)
        # Each piece has one of these in it, and far fewer are to be looked for.
        half = _SHORTEST // 2
        self._hints = frozenset(
            part[start : start + half] for part in shown for start in range(0, len(part) - half + 1, half)
        )

    def __repr__(self) -> str:
        return f"<{len(self._values)} secrets>"

    def __or__(self, values: Iterable[str]) -> Secrets:
        """These and others."""
        return Secrets((*self._values, *values))

    def cut(self, text: str) -> str:
        """The text less the secrets that it repeats, however URLs, JSON or HTML write them."""
        # Nearly all that is looked through are the ids of requests, one in each answer.
        if len(text) < self._shortest:
            return text
        if _PLAIN.fullmatch(text):
            lowered = text.lower()
            if not any(hint in lowered for hint in self._hints):
                return text
        read = _read(text)
        whole = "".join(read.characters)
        found: set[int] = set()
        for piece in self._pieces:
            at = whole.find(piece)
            while at >= 0:
                found.update(range(at, at + len(piece)))
                at = whole.find(piece, at + 1)
        return _without(text, read, sorted(found)) if found else text

    def excerpt(self, text: str, length: int) -> str:
        """The beginning of a text of any length, less the secrets; takes no longer where that is long."""
        excerpt = self.cut(text[: length + _SPARE])
        if len(text) > length + _SPARE:  # a secret that is cut in two there is not found
            excerpt = excerpt[:-_SPARE]
        return excerpt[:length]


class _Text(NamedTuple):
    """A text as it is read: its characters, and where in the text each of them begins and ends."""

    characters: list[str]
    begins: list[int]
    ends: list[int]


def _read(text: str) -> _Text:
    characters, begins, ends = list(text), list(range(len(text))), list(range(1, len(text) + 1))
    for _ in range(_MAX_LAYERS):
        shown = "".join(characters)
        decoded = _Text([], [], [])
        done = 0
        for match in _ESCAPE.finditer(shown):
            start, end = match.span()
            decoded.characters.extend(characters[done:start])
            decoded.begins.extend(begins[done:start])
            decoded.ends.extend(ends[done:start])
            for character in _decoded(match):
                decoded.characters.append(character)
                decoded.begins.append(begins[start])
                decoded.ends.append(ends[end - 1])
            done = end
        if not done:
            break
        characters = decoded.characters + characters[done:]
        begins = decoded.begins + begins[done:]
        ends = decoded.ends + ends[done:]
    folded = [(letter, n) for n, character in enumerate(characters) for letter in character.casefold()]
    return _Text(
        [letter for letter, _ in folded], [begins[n] for _, n in folded], [ends[n] for _, n in folded]
    )


def _decoded(match: re.Match[str]) -> str:
    """What an escape stands for; nothing for whitespace."""
    percent, json, python, hexadecimal, decimal, named, quoted = match.groups()
    if named:
        meant = html.unescape(named)
        return meant if len(meant) == 1 else named
    digits = percent or json or python or hexadecimal
    code = int(digits, 16) if digits else int(decimal) if decimal else None
    if code is None:
        return quoted or ""
    character = chr(code) if code <= sys.maxunicode else "?"
    return "" if character.isspace() else character


def _without(text: str, read: _Text, found: list[int]) -> str:
    """The text with each run of characters that were found replaced."""
    parts: list[str] = []
    done, previous = 0, -2
    for index in found:
        if index != previous + 1:
            parts += [text[done : max(done, read.begins[index])], "***"]
        done, previous = max(done, read.ends[index]), index
    return "".join([*parts, text[done:]])


NO_SECRETS: Final = Secrets()


def credentials_in(fields: Mapping[str, object]) -> Collection[str]:
    """The values of headers or form fields that are credentials by their names."""
    return [value for name, value in fields.items() if isinstance(value, str) and _CREDENTIAL.search(name)]


def proxy_credentials(proxy: str | None) -> Collection[str]:
    """The password of a proxy, and the user and password as ``Proxy-Authorization`` has them."""
    parts = urlsplit(proxy or "")
    if parts.password is None:
        return ()
    user, password = unquote(parts.username or ""), unquote(parts.password)
    return password, base64.b64encode(f"{user}:{password}".encode()).decode()
