"""Decoding of JSON that the service may send and msgspec rejects, and the types of what is decoded."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeGuard, TypeVar

import msgspec

from voucherify_async.errors import DecodeError

__all__ = [
    "convert",
    "decode_json",
    "is_array",
    "is_mapping",
    "is_object",
    "is_sequence",
    "json_text",
    "lazy_json",
    "make_decoder",
    "plain_dict",
]

T = TypeVar("T")

_TYPES_LOCK: Final = threading.Lock()
"""Held while msgspec reads the fields of a struct for the first time: another thread would use them half read, and crash
the interpreter."""


_prepared: Final = set[Any]()
"""The types of which msgspec has read the fields for `convert`."""


def make_decoder(into: type[T] | Any) -> msgspec.json.Decoder[T]:
    """Create a decoder. Any number of threads may do so at once.

    Raises:
        TypeError: msgspec does not support the type.
    """
    with _TYPES_LOCK:
        return msgspec.json.Decoder(into)


def convert(value: Any, into: type[T]) -> T:
    """Convert plain Python values to a type. Any number of threads may do so at once.

    Raises:
        msgspec.ValidationError: The values are not of this type.
    """
    if into not in _prepared:
        make_decoder(into)
        _prepared.add(into)
    return msgspec.convert(value, into)


_JSON_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""A JSON string escape; group 1 matches if it is an unpaired surrogate."""


_DATE_PROBLEM: Final = re.compile(r"Invalid RFC3339 encoded date - at `\$(.+)`")
_PATH_STEP: Final = re.compile(r"\[[^\]]*\]|[^.\[]+")
_DATE_WITH_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT")


def decode_json(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode JSON that msgspec rejects although a model can represent it.

    Each unpaired surrogate escape is replaced with U+FFFD. The time is cut off where a date is expected.

    Raises:
        msgspec.DecodeError: It is not JSON, or not of the decoder's type.
        UnicodeDecodeError: It is not UTF-8.
        RecursionError: It is nested too deeply.
    """
    while True:
        try:
            return decoder.decode(body)
        except msgspec.ValidationError as error:
            repaired = _cut_times(body, str(error))
            if repaired is None:
                raise
        except msgspec.DecodeError:
            repaired = _replace_surrogates(body)
            if repaired == body:
                raise
        body = repaired


def _replace_surrogates(body: bytes) -> bytes:
    return _JSON_ESCAPE.sub(lambda match: rb"\ufffd" if match[1] else match[0], body)


def _cut_times(body: bytes, problem: str) -> bytes | None:
    """Cut the time off the dates to which a problem refers; `None` if that does not solve it."""
    match = _DATE_PROBLEM.fullmatch(problem)
    if match is None:
        return None
    # What a model ignores must not keep it from being read here either.
    root: Any = msgspec.json.decode(_replace_surrogates(body).decode("utf-8", "replace"))
    steps = _PATH_STEP.findall(match[1])
    objects: list[Any] = [root]
    for step in steps[:-1]:
        objects = [child for value in objects for child in _children(value, step)]
    name, was_cut = steps[-1], False
    for value in filter(is_object, objects):
        date = value.get(name)
        if isinstance(date, str) and _DATE_WITH_TIME.match(date):
            value[name], was_cut = date[:10], True
    return msgspec.json.encode(root) if was_cut else None


def _children(value: Any, step: str) -> Iterator[Any]:
    """The values to which one step of the path in an error of msgspec refers."""
    if step.startswith("["):  # an index or a key: the others may need the same
        yield from value.values() if is_object(value) else value or ()
    elif is_object(value) and step in value:
        yield value[step]


_ANY_DECODER: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder()


def lazy_json(
    raw: msgspec.Raw,
    decoder: msgspec.json.Decoder[Any] = _ANY_DECODER,
    what: str = "a part of the response",
) -> Any:
    """Decode a raw JSON value; ``null`` becomes `None`, and bytes that are not UTF-8 become U+FFFD.

    Args:
        raw: The JSON.
        decoder: Decodes it. Default: to plain Python values.
        what: What it is, for the message of an error.

    Raises:
        DecodeError: It contains a number too large for a float, is nested too deeply, or is not of the decoder's type.
    """
    try:
        return decode_json(decoder, bytes(raw).decode("utf-8", "replace").encode())
    except (msgspec.DecodeError, RecursionError) as error:
        raise DecodeError(f"{what} cannot be decoded: {error}") from None


def plain_dict(value: Any) -> dict[str, Any]:
    """Convert an object to plain Python values, as JSON has them.

    Raises:
        DecodeError: A part of a response in it cannot be decoded, as for `lazy_json`.
    """
    plain: dict[str, Any] = lazy_json(msgspec.Raw(msgspec.json.encode(value)))
    return plain


def json_text(value: Any) -> str:
    """Encode an object as JSON."""
    return msgspec.json.encode(value).decode("utf-8", "replace")


def is_mapping(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether the value is a mapping."""
    # isinstance with an ABC is ten times slower, and most values are dictionaries or models.
    return type(value) is dict or (not isinstance(value, msgspec.Struct) and isinstance(value, Mapping))


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether the value is a decoded JSON object."""
    return isinstance(value, dict)


def is_sequence(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether the value is a sequence."""
    return isinstance(value, Sequence)


def is_array(value: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Whether the value is a list or a tuple."""
    return isinstance(value, list | tuple)
