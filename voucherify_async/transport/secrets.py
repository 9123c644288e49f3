"""What a request holds and errors must not show, should an answer repeat it. Pure."""

from __future__ import annotations

import html
import re
import sys
from collections.abc import Iterable
from typing import Final

__all__ = ["NO_SECRETS", "Secrets"]

_SHORTEST: Final = 8
"""A shorter one is a word, not a secret: it would be cut out of every text."""

_SPARE: Final = 16 * 1024
"""Characters that are looked through beyond those that are kept: longer than any secret in any spelling."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:-]*")
"""Text in which a character can only stand for itself."""


class Secrets:
    """Cuts secrets out of texts.

    The object hides them: error reporters show the local variables of a traceback.
    """

    __slots__ = ("_lowered", "_parts", "_patterns", "_shortest")

    def __init__(self, values: Iterable[str] = ()) -> None:
        """Take the secrets, each also by the words it is made of, as in ``Bearer <token>``."""
        parts = {part for value in values for part in (value, *value.split()) if len(part) >= _SHORTEST}
        # The longest first, as one can be part of another.
        self._parts = tuple(sorted(parts, key=len, reverse=True))
        self._shortest = min(map(len, parts), default=sys.maxsize)
        self._lowered = tuple(part.casefold() for part in self._parts)
        self._patterns: tuple[re.Pattern[str], ...] | None = None

    def __repr__(self) -> str:
        return f"<{len(self._parts)} secrets>"

    def __or__(self, values: Iterable[str]) -> Secrets:
        """These and others."""
        return Secrets((*self._parts, *values))

    def cut(self, text: str) -> str:
        """The text less the secrets that it repeats, however URLs, JSON or HTML write them."""
        # Nearly all that is looked through are the ids of requests, one in each answer, and shorter than a key.
        if len(text) < self._shortest:
            return text
        if _PLAIN.fullmatch(text):
            lowered = text.lower()
            if not any(part in lowered for part in self._lowered):
                return text
        if self._patterns is None:
            self._patterns = tuple(
                re.compile("".join(map(_spellings, part)), re.IGNORECASE) for part in self._parts
            )
        for pattern in self._patterns:
            text = pattern.sub("***", text)
        return text

    def excerpt(self, text: str, length: int) -> str:
        """The beginning of a text of any length, less the secrets; takes no longer where that is long."""
        excerpt = self.cut(text[: length + _SPARE])
        if len(text) > length + _SPARE:  # a secret that is cut in two there is not found
            excerpt = excerpt[:-_SPARE]
        return excerpt[:length]


NO_SECRETS: Final = Secrets()


def _spellings(character: str) -> str:
    """A pattern for a character as it is, or as URLs, JSON or HTML write it."""
    code = ord(character)
    ways = [re.escape(character), rf"%{code:02x}", rf"\\u{code:04x}", rf"&#0*{code};", rf"&#x0*{code:x};"]
    if not character.isalnum():
        ways += [re.escape("\\" + character), re.escape(html.escape(character))]
    return f"(?:{'|'.join(ways)})"
