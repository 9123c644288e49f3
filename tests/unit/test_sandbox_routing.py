"""Bodies of requests to the sandbox, taken apart without a server."""

from __future__ import annotations

import pytest

from voucherify_async.sandbox._http.routing import ApiCall, read_file, read_form, read_json
from voucherify_async.sandbox._store.errors import ApiError

FILE = b'Content-Disposition: form-data; name="file"; filename="a.csv"\r\n'


def call(body: bytes, content_type: str = "multipart/form-data; boundary=b") -> ApiCall:
    return ApiCall("POST", (), [], content_type, body, "v-1")


@pytest.mark.parametrize(
    "body",
    [
        b"--b\r\n\r\n\r\n" * 300_000 + b"--b--",
        b"--b\r\nContent-Disposition: form-data; name=" + b"(" * 50_000 + b"\r\n\r\nx\r\n--b--",
        b"--b\r\nContent-Disposition: form-data; " + b'a="b"; ' * 50_000 + b"\r\n\r\nx\r\n--b--",
        b"--b\r\n" + b"X: y\r\n" * 50_000 + b"\r\nx\r\n--b--",
    ],
    ids=["many parts", "nested comments", "many parameters", "many headers"],
)
def test_a_multipart_body_that_takes_too_much_is_refused(body: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        read_file(call(body))
    assert (caught.value.status, caught.value.key) == (400, "invalid_body")


@pytest.mark.parametrize(
    "body",
    [
        b"--b\r\n" + FILE + b"\r\n%s\r\n--b--\r\n",
        b"--b\n" + FILE + b"\n%s\n--b--",
        b"preamble\r\n--b \t\r\n" + FILE + b"Content-Type: text/csv\r\n\r\n%s\r\n--b--\r\nepilogue",
        b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\ny\r\n--b\r\n' + FILE + b"\r\n%s\r\n--b--",
        b"--b\r\n\r\nx\r\n--b\r\n--b\r\n" + FILE + b"\r\n%s\r\n--b--",
        b"--b\r\n" + FILE + b"Content-Type: multipart/mixed; boundary=c\r\n\r\n%s\r\n--b--",
        b"--b\r\nContent-Disposition: form-data;\r\n name=file\r\n\r\n%s\r\n--b--",
    ],
)
@pytest.mark.parametrize(
    "content",
    [b"", b"a\r\nb\r\n", b"a\r\n\r\n--c\r\n\r\n", b"--a\r\n" * 6_000 + b"--bb\r\n--b-", b"\xff\x00\r\n"],
)
def test_the_file_is_found_whatever_is_in_it(body: bytes, content: bytes) -> None:
    assert read_file(call(body % content)) == content


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b"", "missing_file"),
        (b"--b--", "missing_file"),
        (b"--b\r\n" + FILE + b"\r\nthe end is missing", "missing_file"),
        (b"--b\r\n" + FILE + b"\r\n--b--", "missing_file"),
        (b"--c\r\n" + FILE + b"\r\nx\r\n--c--", "missing_file"),
        (b"--b\r\nContent-Disposition: form-data; name=files\r\n\r\nx\r\n--b--", "missing_file"),
    ],
)
def test_a_body_without_a_file(body: bytes, key: str) -> None:
    with pytest.raises(ApiError) as caught:
        read_file(call(body))
    assert (caught.value.status, caught.value.key) == (400, key)


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary="])
def test_a_body_without_a_boundary(content_type: str) -> None:
    with pytest.raises(ApiError, match="invalid_body"):
        read_file(call(b"--b--", content_type))


def test_a_boundary_may_be_any_text() -> None:
    content_type = 'multipart/form-data; charset=utf-8; boundary="a.*(b)"'
    assert read_file(call(b"--a.*(b)\r\n" + FILE + b"\r\nx\r\n--a.*(b)--", content_type)) == b"x"


def test_a_form_that_takes_too_much_is_refused() -> None:
    with pytest.raises(ApiError) as caught:
        read_form(call(b"a=%41&" * 1_000_000, "application/x-www-form-urlencoded"))
    assert caught.value.status == 413


@pytest.mark.parametrize(
    "body", [b"[" * 101 + b"]" * 101, b'{"a":' * 101 + b"1" + b"}" * 101, b"[" * 1_000_000]
)
def test_json_that_is_nested_too_deeply_is_refused(body: bytes) -> None:
    with pytest.raises(ApiError, match="invalid_json"):
        read_json(call(body, "application/json"))


@pytest.mark.parametrize("body", [b"[" * 100 + b"]" * 100, b"[" + b"[]," * 200_000 + b"{}]", b"5"])
def test_other_json_is_read(body: bytes) -> None:
    assert read_json(call(body, "application/json")) is not None
