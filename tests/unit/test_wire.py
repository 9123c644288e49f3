from __future__ import annotations

import datetime as dt
import decimal
import email
import email.policy
import json
import pickle
import types
import uuid
from enum import Enum, IntEnum, StrEnum
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voucherify_async import errors
from voucherify_async._transport import wire
from voucherify_async._transport.operation import Operation, RawResponse
from voucherify_async._transport.secrets import Secrets
from voucherify_async._transport.wire import (
    MAX_BODY_BYTES,
    FilePart,
    decode,
    decode_error,
    encode_form,
    encode_json,
    encode_multipart,
    encode_path,
    encode_query,
    json_value,
    status_error,
)
from voucherify_async.models import UNSET, Customer

UTC = dt.UTC
GET: Operation[Any] = Operation(
    "customers.get", "GET", "/v1/customers/{customer_id}", Customer[dict[str, Any]]
)
POST: Operation[Any] = Operation("customers.create", "POST", "/v1/customers", Customer[dict[str, Any]])


class Colour(StrEnum):
    RED = "red"


class Mixed(str, Enum):  # noqa: UP042  # its text and its value differ
    RED = "red one"


class Text(str):
    __slots__ = ()


class Number(IntEnum):
    ONE = 1


class TestPath:
    @pytest.mark.parametrize(
        ("value", "segment"),
        [
            ("cust_1", "cust_1"),
            ("a/b?c%20d+é@x.io", "a%2Fb%3Fc%2520d%2B%C3%A9%40x.io"),
            ("...", "..."),
            (" ", "%20"),
            ("../x", "..%2Fx"),
            ("%2e", "%252e"),
            ("{x}", "%7Bx%7D"),
            ("#;", "%23%3B"),
        ],
    )
    def test_one_segment(self, value: str, segment: str) -> None:
        assert encode_path("/v1/customers/{customer_id}/activity", {"customer_id": value}) == (
            f"/v1/customers/{segment}/activity"
        )

    @pytest.mark.parametrize("value", ["", ".", "..", "\ud800", None, 5, b"x"])
    def test_refused(self, value: Any) -> None:
        with pytest.raises(ValueError, match="^customer_id"):
            encode_path("/v1/customers/{customer_id}", {"customer_id": value})

    def test_a_missing_parameter_is_named(self) -> None:
        with pytest.raises(ValueError, match="'code' is missing"):
            encode_path("/v1/vouchers/{code}", {})

    @given(st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda text: text not in {".", ".."}))
    def test_any_text_comes_back(self, text: str) -> None:
        encoded = encode_path("/x/{key}", {"key": text})
        assert encoded.count("/") == 2
        assert encoded.isascii()
        assert unquote(encoded.removeprefix("/x/")) == text


class TestQuery:
    @pytest.mark.parametrize(
        ("query", "pairs"),
        [
            ({"limit": 5, "city": "São Paulo"}, [("limit", "5"), ("city", "São Paulo")]),
            ({"a": None, "b": UNSET, "c": ""}, [("c", "")]),
            ({"a": True, "b": False, "c": 1.5}, [("a", "true"), ("b", "false"), ("c", "1.5")]),
            (
                {"created_at": {"before": dt.datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC), "after": None}},
                [("created_at[before]", "2026-01-02T03:04:05.678Z")],
            ),
            ({"d": dt.date(2026, 1, 2)}, [("d", "2026-01-02")]),
            (
                {"filters": {"id": {"conditions": {"$in": ["rh_1", "rh_2"]}}, "junction": "and"}},
                [
                    ("filters[id][conditions][$in][0]", "rh_1"),
                    ("filters[id][conditions][$in][1]", "rh_2"),
                    ("filters[junction]", "and"),
                ],
            ),
            ({"email": "a+b@x.io&c=d#e"}, [("email", "a+b@x.io&c=d#e")]),
        ],
    )
    def test_pairs(self, query: dict[str, Any], pairs: list[tuple[str, str]]) -> None:
        encoded = encode_query(query)
        assert parse_qsl(encoded, keep_blank_values=True, strict_parsing=True) == pairs
        assert not set(encoded) & set("[]$+ @")

    @pytest.mark.parametrize(
        ("instant", "text"),
        [
            (dt.datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00.000Z"),
            (dt.datetime(2026, 1, 2, 3, 4, 5, 123_456, UTC), "2026-01-02T03:04:05.123456Z"),
            (
                dt.datetime(2026, 1, 2, 1, tzinfo=dt.timezone(dt.timedelta(hours=2))),
                "2026-01-01T23:00:00.000Z",
            ),
        ],
    )
    def test_instants(self, instant: dt.datetime, text: str) -> None:
        assert parse_qsl(encode_query({"at": instant})) == [("at", text)]

    @pytest.mark.parametrize(
        ("value", "encoded"),
        [
            (Mixed.RED, "a=red%20one"),
            (Colour.RED, "a=red"),
            (Text("x"), "a=x"),
            (Number.ONE, "a=1"),
            (1e20, "a=1e%2B20"),
            ("", "a="),
            ("~._-", "a=~._-"),
            ("x\n", "a=x%0A"),
            ("é&=", "a=%C3%A9%26%3D"),
        ],
    )
    def test_values(self, value: Any, encoded: str) -> None:
        assert encode_query({"a": value}) == encoded

    @pytest.mark.parametrize("value", [dt.datetime(2026, 1, 2), object(), b"x", {1, 2}, "\ud800"])  # noqa: DTZ001
    def test_refused(self, value: Any) -> None:
        with pytest.raises(ValueError, match=r"^deep\[inside\]"):
            encode_query({"deep": {"inside": value}})


class TestJson:
    @pytest.mark.parametrize(
        ("value", "plain"),
        [
            ({"a": [1, "x", None, True, 1.5]}, {"a": [1, "x", None, True, 1.5]}),
            ({"a": (1, 2)}, {"a": [1, 2]}),
            (types.MappingProxyType({"a": types.MappingProxyType({"b": 1})}), {"a": {"b": 1}}),
            ({"d": dt.date(2026, 1, 2)}, {"d": "2026-01-02"}),
            ({"t": dt.datetime(2026, 1, 2, tzinfo=UTC)}, {"t": "2026-01-02T00:00:00.000Z"}),
            ({"u": uuid.UUID(int=1)}, {"u": "00000000-0000-0000-0000-000000000001"}),
            ({"n": decimal.Decimal("1.50")}, {"n": "1.50"}),
            ({"big": 2**70}, {"big": 2**70}),
            ({"e": Colour.RED, "t": Text("x"), "i": Number.ONE}, {"e": "red", "t": "x", "i": 1}),
        ],
    )
    def test_plain(self, value: Any, plain: Any) -> None:
        assert json_value("metadata", value) == plain

    @pytest.mark.parametrize(
        ("value", "where"),
        [
            ({"a": float("nan")}, r"metadata\.a"),
            ({"a": [1, float("inf")]}, r"metadata\.a\[1\]"),
            ({"a": {"b": object()}}, r"metadata\.a\.b"),
            ({"a": {1: 2}}, r"metadata\.a has the key 1"),
            ({"t": dt.datetime(2026, 1, 2)}, r"metadata\.t must be a timezone-aware"),  # noqa: DTZ001
            ({"c": 1j}, r"metadata\.c"),
            ({"b": b"x"}, r"metadata\.b"),
            ({"s": {1}}, r"metadata\.s"),
            ({"d": dt.timedelta(1)}, r"metadata\.d"),
            ({"n": decimal.Decimal("NaN")}, r"metadata\.n"),
            (
                {"t": dt.datetime.max.replace(tzinfo=dt.timezone(dt.timedelta(hours=-5)))},
                r"metadata\.t must be within the years",
            ),
        ],
    )
    def test_refused(self, value: Any, where: str) -> None:
        with pytest.raises(ValueError, match=where):
            json_value("metadata", value)

    def test_a_value_within_itself_is_refused(self) -> None:
        value: dict[str, Any] = {}
        value["self"] = value
        with pytest.raises(ValueError, match="metadata is nested too deeply"):
            json_value("metadata", value)

    def test_absent_and_null_are_told_apart(self) -> None:
        from voucherify_async.models import CustomerUpsert

        body = encode_json("body", CustomerUpsert(source_id="a", name=None))
        assert msgspec.json.decode(body.content) == {"source_id": "a", "name": None}
        assert body.content_type == "application/json"

    def test_lone_surrogates_are_refused(self) -> None:
        with pytest.raises(ValueError, match="^body has text with lone surrogates"):
            encode_json("body", {"a": "\ud800"})

    def test_the_limit(self) -> None:
        encode_json("body", "x" * (MAX_BODY_BYTES - 2))
        with pytest.raises(
            ValueError, match=r"^body has 10,485,761 bytes; the service accepts at most 10,485,760"
        ):
            encode_json("body", "x" * (MAX_BODY_BYTES - 1))


def test_form() -> None:
    body = encode_form({"scope": "api vouchers", "t": "é"})
    assert body.content == b"scope=api+vouchers&t=%C3%A9"
    assert body.content_type == "application/x-www-form-urlencoded"


class TestMultipart:
    @pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"a,b\r\n1,2\r\n\r\n", b"", "é,--\r\n--".encode()])
    def test_a_file_comes_back(self, content: bytes) -> None:
        body = encode_multipart({"file": FilePart('my "x"\r\n.csv', content, "text/csv")}, {"kind": "é"})
        head = f"Content-Type: {body.content_type}\r\n\r\n".encode()
        message = email.message_from_bytes(head + body.content, policy=email.policy.HTTP)
        field, file = message.iter_parts()
        assert field.get_param("name", header="content-disposition") == "kind"
        assert field.get_payload(decode=True) == "é".encode()
        assert file.get_param("name", header="content-disposition") == "file"
        assert file.get_filename() == "my %22x%22%0D%0A.csv"
        assert file.get_content_type() == "text/csv"
        assert file.get_payload(decode=True) == content

    def test_the_limit(self) -> None:
        with pytest.raises(ValueError, match="^file has 10,485,761 bytes"):
            encode_multipart({"file": FilePart("x.csv", b"x" * (MAX_BODY_BYTES + 1), "text/csv")})


class TestDecode:
    def test_a_model(self) -> None:
        assert decode(GET, RawResponse(200, {}, b'{"id":"cust_1","new":1}')) == Customer(id="cust_1")

    @pytest.mark.parametrize(
        ("body", "problem"),
        [
            (b"<html>oops</html>", "not JSON"),
            (b"", "not JSON"),
            (b'{"id":"a"', "not JSON"),
            (b'{"id":"a","name":"\xff"}', "not JSON"),
            (b"[]", "does not match the expected type"),
            (b'{"name":"Ada"}', "missing required field `id`"),
            (b'{"id":"a","created_at":5}', r"\$\.created_at"),
        ],
    )
    def test_what_is_not_promised(self, body: bytes, problem: str) -> None:
        with pytest.raises(errors.DecodeError, match=problem) as caught:
            decode(GET, RawResponse(200, {"X-Request-Id": "v-1"}, body))
        error = caught.value
        assert (error.status, error.operation, error.request_id) == (200, "customers.get", "v-1")
        assert error.body == body.decode("utf-8", "replace")
        assert not error.may_have_been_applied

    def test_the_body_on_the_error_is_cut(self) -> None:
        with pytest.raises(errors.DecodeError) as caught:
            decode(POST, RawResponse(200, {}, b"x" * 10_000))
        assert len(caught.value.body) == 500
        assert caught.value.may_have_been_applied

    def test_a_secret_answer_is_not_on_the_error(self) -> None:
        operation: Operation[Any] = Operation("oauth.create_token", "POST", "/t", Customer, confidential=True)
        with pytest.raises(errors.DecodeError) as caught:
            decode(operation, RawResponse(200, {}, b'{"access_token":"hush"}'))
        assert caught.value.body == ""
        assert "hush" not in str(caught.value)

    @pytest.mark.parametrize(
        ("into", "body", "data"),
        [(bytes, b"\x00", b"\x00"), (type(None), b"anything", None), (Any, b"", None), (Any, b"[1]", [1])],
    )
    def test_other_types(self, into: Any, body: bytes, data: Any) -> None:
        assert decode(Operation[Any]("x", "GET", "/x", into), RawResponse(200, {}, body)) == data


class TestLongTexts:
    """A service may say any amount; what takes time takes it of the beginning."""

    @pytest.fixture
    def looked_through(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        lengths: list[int] = []
        redact = Secrets.redact

        def counted(self: Secrets, text: str) -> str:
            lengths.append(len(text))
            return redact(self, text)

        monkeypatch.setattr(Secrets, "redact", counted)
        return lengths

    def test_of_the_texts_of_an_error_the_beginning_is_kept(self, looked_through: list[int]) -> None:
        huge = "m <" * 3_000_000
        names = ("message", "details", "key", "request_id", "resource_id", "resource_type")
        body = json.dumps(dict.fromkeys(names, huge)).encode()
        error = status_error(GET, RawResponse(400, {}, body, Secrets(["a-secret-key"])), now=0.0)
        for name in names:
            assert getattr(error, name) == huge[:4_096]
        assert len(str(error)) < 30_000
        assert sum(looked_through) < 200_000

    @pytest.mark.parametrize(
        ("details", "kept"),
        [
            ("a-secret-key", "***"),
            ([{"a": "a-secret-key", "a-secret-key": [1, None]}], [{"a": "***", "***": [1, None]}]),
            ({"fields": ["name"]}, {"fields": ["name"]}),
            (5, 5),
            (False, False),
            (None, None),
            ("", None),
        ],
    )
    def test_details_of_any_shape_are_kept_without_secrets(self, details: Any, kept: Any) -> None:
        body = json.dumps({"message": "No", "details": details}).encode()
        error = status_error(GET, RawResponse(400, {}, body, Secrets(["a-secret-key"])), now=0.0)
        assert error.details == kept
        assert "secret-key" not in error.body
        assert pickle.loads(pickle.dumps(error)).details == error.details

    def test_of_large_details_the_beginning_is_kept(self) -> None:
        body = json.dumps({"message": "No", "details": [["m" * 100] * 100]}).encode()
        error = status_error(GET, RawResponse(400, {}, body), now=0.0)
        assert error.details == f"[[{','.join([chr(34) + 'm' * 100 + chr(34)] * 100)}"[:4_096]
        assert len(str(error)) < 600

    @pytest.mark.parametrize("body", [b"<html>Bad gateway</html>" * 100, b"Bad gateway", b"", b"\xff"])
    def test_the_body_of_what_is_not_json_is_kept(self, body: bytes) -> None:
        error = status_error(GET, RawResponse(502, {}, body), now=0.0)
        assert error.body == body.decode("utf-8", "replace")[:500]
        assert error.message == "Bad Gateway"

    def test_a_body_that_may_contain_a_secret_is_not_kept(self) -> None:
        operation = Operation("x", "GET", "/x", object, confidential=True)
        assert status_error(operation, RawResponse(502, {}, b"secret"), now=0.0).body == ""

    @pytest.mark.parametrize("body", [{"error": {"message": "m" * 10**6}}, {"error": "m" * 10**6}])
    def test_so_it_is_with_other_shapes(self, body: Any, looked_through: list[int]) -> None:
        error = status_error(GET, RawResponse(500, {}, json.dumps(body).encode()), now=0.0)
        assert error.message == "m" * 4_096
        assert sum(looked_through) < 200_000

    def test_of_an_answer_that_is_none_too(self, looked_through: list[int]) -> None:
        kind: Any = Literal["a", "b"]
        operation: Operation[Any] = Operation("x", "GET", "/x", kind)
        with pytest.raises(errors.DecodeError) as caught:
            decode(operation, RawResponse(200, {}, json.dumps("m " * 3_000_000).encode()))
        assert len(str(caught.value)) < 5_000
        assert sum(looked_through) < 200_000

    @pytest.mark.parametrize("before", range(20_455, 20_485, 3))
    def test_a_secret_at_the_end_of_what_is_looked_through(self, before: int) -> None:
        secret = "s3cr3t-" * 4
        text = "m" * before + secret + "m" * 100_000
        error = status_error(
            GET, RawResponse(400, {}, json.dumps({"message": text}).encode(), Secrets([secret])), now=0.0
        )
        assert "s3cr3t" not in error.message
        many = Secrets([secret]).excerpt(secret * 1_000, 4_096)
        assert "s3cr3t" not in many


class TestStatusError:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (400, errors.BadRequestError),
            (401, errors.AuthenticationError),
            (402, errors.PaymentRequiredError),
            (403, errors.PermissionDeniedError),
            (404, errors.NotFoundError),
            (405, errors.MethodNotAllowedError),
            (406, errors.NotAcceptableError),
            (409, errors.ConflictError),
            (413, errors.PayloadTooLargeError),
            (415, errors.UnsupportedMediaTypeError),
            (423, errors.LockedError),
            (429, errors.RateLimitError),
            (500, errors.ServerError),
            (503, errors.ServerError),
            (599, errors.ServerError),
            (302, errors.APIStatusError),
            (418, errors.APIStatusError),
        ],
    )
    def test_classes(self, status: int, kind: type[errors.APIStatusError]) -> None:
        error = status_error(POST, RawResponse(status, {}, b""), now=0)
        assert type(error) is kind
        assert (error.status, error.code, error.key, error.details) == (status, status, None, None)
        assert error.message

    def test_a_whole_body(self) -> None:
        body = {
            "code": 404,
            "key": "not_found",
            "message": "Resource not found",
            "details": "Cannot find customer with id x",
            "request_id": "v-0b4c590350857970df",
            "resource_id": "x",
            "resource_type": "customer",
        }
        error = status_error(GET, RawResponse(404, {}, msgspec.json.encode(body)), now=0)
        assert {name: getattr(error, name) for name in body} == body
        assert str(error) == (
            "customers.get: 404 not_found: Resource not found (Cannot find customer with id x) "
            "[request v-0b4c590350857970df]"
        )

    @pytest.mark.parametrize(
        ("body", "message", "code"),
        [
            (
                b'{"code":429,"message":"Too many requests hit the API too quickly."}',
                "Too many requests hit",
                429,
            ),
            (b'{"statusCode":413,"error":"Request Entity Too Large","message":"Payload"}', "Payload", 400),
            (b'{"error":{"message":"Custom"},"message":"General"}', "Custom", 400),
            (b'{"error":"Only this"}', "Only this", 400),
            (b'{"code":"E1","message":5,"key":[],"details":{}}', "Bad Request", 400),
            (b"<html><h1>502</h1></html>", "Bad Request", 400),
            (b"[]", "Bad Request", 400),
            (b"\xff", "Bad Request", 400),
        ],
    )
    def test_bodies_of_other_shapes(self, body: bytes, message: str, code: int) -> None:
        error = status_error(POST, RawResponse(400, {}, body), now=0)
        assert error.message.startswith(message)
        assert error.code == code

    @pytest.mark.parametrize(
        ("status", "applied"), [(400, False), (429, False), (500, True), (504, True), (302, True)]
    )
    def test_whether_it_may_have_been_applied(self, status: int, applied: bool) -> None:
        assert status_error(POST, RawResponse(status, {}, b""), now=0).may_have_been_applied == applied
        assert not status_error(GET, RawResponse(status, {}, b""), now=0).may_have_been_applied

    def test_rate_limit(self) -> None:
        headers = {"Retry-After": "7", "X-Rate-Limit-Type": "bulk_api_calls"}
        error = status_error(POST, RawResponse(429, headers, b""), now=0)
        assert isinstance(error, errors.RateLimitError)
        assert (error.retry_after, error.kind) == (7.0, "bulk_api_calls")

    def test_a_redirect_says_why_it_is_not_followed(self) -> None:
        assert "redirect not followed" in str(status_error(GET, RawResponse(302, {}, b""), now=0))

    def test_a_status_without_a_name(self) -> None:
        assert status_error(GET, RawResponse(499, {}, b""), now=0).message == "unknown status"


class TestSecretsThatComeBack:
    """From a service, or a proxy before it, that repeats the request in its answer."""

    SECRETS = Secrets(("Bearer abc/secret-def", "abc/secret-def-too", "short"))

    @pytest.mark.parametrize(
        ("said", "told"),
        [
            ("bad token abc/secret-def", "bad token ***"),
            ("bad token abc/secret-def-too", "bad token ***"),
            ("bad token abc%2Fsecret-def", "bad token ***"),
            ("Bearer abc/secret-def", "***"),
            ("too short", "too short"),
        ],
    )
    def test_in_an_error(self, said: str, told: str) -> None:
        body = msgspec.json.encode(dict.fromkeys(("message", "key", "details", "request_id"), said))
        error = status_error(GET, RawResponse(400, {}, body, self.SECRETS), now=0)
        assert {error.message, error.key, error.details, error.request_id} == {told}

    def test_in_what_is_kept_of_a_body(self) -> None:
        body = b"<pre>" + b"x" * 485 + b"abc\\/secret-def" + b"y" * 1000
        error = decode_error(
            GET, RawResponse(200, {"X-Request-Id": "abc/secret-def"}, body, self.SECRETS), "odd"
        )
        assert error.body == "<pre>" + "x" * 485 + "***" + "y" * 7
        assert error.request_id == "***"


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        ("0001-01-01T00:00:00+00:01", "0001-01-01T00:00:00.000Z"),
        ("0001-01-01T00:00:00-00:01", "0001-01-01T00:01:00.000Z"),
        ("9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59.999Z"),
        ("9999-12-31T23:59:59+14:00", "9999-12-31T09:59:59.000Z"),
    ],
)
def test_instants_at_the_ends_of_the_calendar(instant: str, text: str) -> None:
    assert wire.format_instant(dt.datetime.fromisoformat(instant)) == text
