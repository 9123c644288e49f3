"""The bodies of recorded exchanges."""

from __future__ import annotations

from typing import Any

import pytest

from voucherify_async.sandbox import Exchange


def exchange(request: bytes = b"", response: bytes = b"") -> Exchange:
    return Exchange("PUT", "/v1/customers/a", {}, request, 200, {}, response)


def test_the_bodies() -> None:
    given = exchange(b'{"name":"\xc3\x89va"}', b'{"id":"cust_1"}')
    assert given.body == given.request_body
    assert given.json() == {"name": "Éva"}
    assert given.response_json() == {"id": "cust_1"}


@pytest.mark.parametrize("value", ["null", "[]", "1", '"a"', "123456789012345678901234567890"])
def test_any_json(value: str) -> None:
    import json

    assert exchange(value.encode()).json() == json.loads(value)


BAD: list[Any] = [
    (b"", "the {} has no body: Exchange(method='PUT', target='/v1/customers/a', status=200)"),
    (b"access_token=a", "the body of the {} is not JSON: "),
    (b'{"a', "the body of the {} is not JSON: "),
    (b'"\xff"', "the body of the {} is not JSON: "),
    (b"[" * 100_000, "the body of the {} is not JSON: "),
]


@pytest.mark.parametrize(("body", "message"), BAD, ids=range(len(BAD)))
def test_what_is_no_json(body: bytes, message: str) -> None:
    for read, name in ((exchange(body).json, "request"), (exchange(b"", body).response_json, "response")):
        with pytest.raises(ValueError) as caught:
            read()
        assert type(caught.value) is ValueError
        assert str(caught.value).startswith(message.format(name))
