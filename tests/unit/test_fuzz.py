"""Whatever bytes come, a decoder gives a value or an error of the package, and no other."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voucherify_async import SyncStateError, VoucherifyError
from voucherify_async._sync.batches import BodyTemplate, Item, make_batch
from voucherify_async._sync.delivery import Delivery
from voucherify_async._sync.outcome import find_failures, read_bulk_result, read_import_result
from voucherify_async._sync.results import SyncFailure
from voucherify_async._sync.state import SyncState, read_failures, read_missing
from voucherify_async._transport.operation import Operation, RawResponse
from voucherify_async._transport.rate_limit import (
    AdaptiveRateLimiter,
    limit_kind,
    read_rate_limit,
    server_wait,
)
from voucherify_async._transport.retry import Outcome, RetryPolicy
from voucherify_async._transport.token_manager import refresh_delay
from voucherify_async._transport.wire import decode, encode_query, status_error
from voucherify_async.models import AccessToken, AsyncAction, Customer, CustomerActivity, PermanentDeletion
from voucherify_async.models.async_actions import AsyncActionReceipt
from voucherify_async.models.oauth import TokenIntrospection
from voucherify_async.models.redeemables import CustomerRedeemable
from voucherify_async.pagination.cursor_tokens import decode_token, encode_token, fingerprint
from voucherify_async.pagination.pager import Listing
from voucherify_async.pagination.rules import EndDateRule, IdRule, IdState
from voucherify_async.pagination.rules.created_at import CreatedAtRule
from voucherify_async.pagination.rules.page_number import PageNumberRule, PageNumberState
from voucherify_async.pagination.rules.timestamps import TimestampState
from voucherify_async.resources._csv import CsvRows

SOAK_SCALE = float(os.environ.get("SOAK_SCALE", "1"))

ODD: Final = (
    b"\\ud83d", b"\xff", b"9" * 5_000, b"1e999", b"-1", b"null", b"[]", b"{}", b'""',
    b'"0001-01-01T00:00:00+14:00"', b'"9999-12-31T23:59:59-14:00"', b"[" * 2_000, b"\0", b'"', b"\\",
)  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, whole: tuple[bytes, ...]) -> bytes:
    """One of these, with some bytes replaced, inserted or cut out."""
    body = draw(st.sampled_from(whole))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(body)))
        end = draw(st.integers(start, min(len(body), start + 12)))
        body = body[:start] + draw(st.sampled_from(ODD) | st.binary(max_size=8)) + body[end:]
    return body


def lazy_parts(value: Any) -> None:
    """Read what a model decodes when it is first asked for."""
    for model, name in ((AsyncAction, "result"), (CustomerActivity, "data")):
        if isinstance(value, model):
            with suppress(VoucherifyError):
                getattr(value, name)


# ---------------------------------------------------------------- answers

INTO: Final = (
    Any,
    Customer[dict[str, Any]],
    CustomerActivity,
    CustomerRedeemable,
    AsyncAction,
    AsyncActionReceipt,
    PermanentDeletion,
    AccessToken,
    TokenIntrospection,
)
ANSWERS: Final = (
    b'{"id":"cust_1","name":"Ann","created_at":"2026-01-01T00:00:00Z","address":{"city":"Rome"},"metadata":{"a":1}}',
    b'{"customers":[{"id":"cust_1","name":"Ann"},{"id":"cust_2","created_at":null}],"total":2,"has_more":true}',
    b'{"id":"aa_1","type":"CUSTOMERS.BULK_UPDATE","status":"DONE","result":{"done_count":1,"failed_count":1,"errors":[{"source_id":"c1"}]}}',
    b'{"id":"aa_1","type":"CUSTOMERS.IMPORT_CSV","status":"DONE","result":{"done_count":1,"failed":[{"row":1,"reason":"r"}]}}',
    b'{"id":"ev_1","type":"customer.created","created_at":"2026-01-01T00:00:00Z","data":{"customer":{"id":"a"}}}',
    b'{"access_token":"a","expires_in":900,"expires_at":1800000000,"active":true}',
    b'{"code":400,"key":"k","message":"no","details":"d","error":{"message":"no"},"request_id":"v-1"}',
)


def operation(into: Any) -> Operation[Any]:
    return Operation[Any]("x", "GET", "/v1/x", into)


def listing(on_invalid: Any, into: Any) -> Listing[Any]:
    sessions: Any = None
    return Listing(
        sessions=sessions,
        operation=operation(Any),
        path="/v1/x",
        query={},
        items="customers",
        into=into,
        on_invalid=on_invalid,
    )


def read_answer(body: bytes) -> None:
    answer = RawResponse(200, {}, body)
    items = [Item(position, f"crm-{position}", b"{}") for position in (1, 2)]
    batch = make_batch(0, items, BodyTemplate(b"[", b",", b"]", 1_000, 9))
    for into in INTO:
        try:
            value = decode(operation(into), answer)
        except VoucherifyError:
            continue
        lazy_parts(value)
        if isinstance(value, AccessToken):
            assert refresh_delay(value) <= 31_536_000
        if isinstance(value, AsyncAction):
            for accounting in (read_bulk_result, read_import_result):
                find_failures(value, batch, accounting)
        if isinstance(value, Customer):
            dict(value)
    for on_invalid in ("raise", lambda _: None):
        for into in INTO:
            with suppress(VoucherifyError):
                for item in listing(on_invalid, into)._decode(None, answer)[0].items:
                    lazy_parts(item)
    for status in (400, 404, 429, 500):
        error = status_error(operation(Any), RawResponse(status, {}, body), now=0.0)
        assert str(error)


# ---------------------------------------------------------------- headers

NAMES: Final = (
    "Retry-After", "Date", "X-Rate-Limit-Limit", "X-Rate-Limit-Remaining", "X-Rate-Limit-Retry", "X-Rate-Limit-Type",
)  # fmt: skip
VALUES: Final = st.sampled_from(
    [
        "0", "-1", "1", "1e9", "9" * 400, "9" * 5_000, "0." + "9" * 400, "nan", "inf", "\u0663", "1800000000", "253402300800",
        "Thu, 01 Jan 0001 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 -2359", "Wed, 21 Oct 2026 07:28:00 GMT",
        "Wed, 21 Oct 99999999999999999999 07:28:00 GMT", "api_calls", "", " ",
    ]
) | st.text(max_size=40)  # fmt: skip


def read_headers(headers: dict[str, str]) -> None:
    told = read_rate_limit(headers)
    limit_kind(headers)
    limiter = AdaptiveRateLimiter()
    for now in (0.0, 1_800_000_000.0):
        wait = server_wait(headers, now)
        assert wait is None or 0 <= wait <= 366 * 86_400
        limiter.release("api_calls", told, wait)
        outcome = Outcome(status=429, may_have_been_applied=True, repeatable=True, server_wait=wait)
        delay = RetryPolicy().decide(1, outcome, jitter=0.5)
        assert delay is None or 0 <= delay < 70
    error = status_error(operation(Any), RawResponse(429, headers, b""), now=0.0)
    assert str(error)


# ---------------------------------------------------------------- cursors

LISTING: Final = fingerprint("GET", "/v1/x")
RULES: Final = (IdRule(), EndDateRule(), PageNumberRule(), CreatedAtRule())


STATES: Final = (
    (IdRule(), IdState("ev_1")),
    (PageNumberRule(), PageNumberState(5, (b"abcdef",))),
    (EndDateRule(), TimestampState(timestamp_us=1_700_000_000_000_000, delivered=(b"abcdef",))),
    (CreatedAtRule(), TimestampState(timestamp_us=1_700_000_000_000_000, position=3)),
)
CURSORS: Final = tuple(encode_token(rule.name, LISTING, state).encode() for rule, state in STATES)
PAYLOADS: Final = tuple(msgspec.msgpack.encode(state) for _, state in STATES)


def go_on(cursor: str) -> None:
    with suppress(VoucherifyError):
        rule, state = decode_token(cursor, LISTING, RULES)
        asked: Any = next(rule.walk(state, {}, 10, stream=False))
        encode_query(asked)


def read_cursor(cursor: bytes) -> None:
    go_on(cursor.decode("latin-1"))


def read_payload(payload: bytes) -> None:
    """What somebody sealed who knows how."""
    if not payload:
        return
    for rule in RULES:
        go_on(encode_token(rule.name, LISTING, msgspec.Raw(payload)))


# ---------------------------------------------------------------- CSV files

TABLES: Final = (
    b'Source_id,Name\nc1,"Ann ""A"""\n\nc2,Bob\r\n',
    b"\xef\xbb\xbfsource_id\rc1\r",
    b"a,a,a\n1\n1,2,3,4\n",
)


def read_csv(content: bytes) -> None:
    try:
        rows = CsvRows(io.BytesIO(content))
        for row in rows:
            assert row.content.endswith(b"\n")
    except ValueError as error:
        if not str(error).startswith("path: "):
            raise


# ---------------------------------------------------------------- states


class Recorded:
    """A state with all that there can be in one, which is damaged again and again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        asyncio.run(self.write())
        self.content = path.read_bytes()

    def state(self) -> SyncState:
        return SyncState(self.path, project="p", kinds=["k"])

    async def write(self) -> None:
        frame = BodyTemplate(b"", b"", b"", 1_000, 9)
        items = [Item(0, "a", b"x"), Item(1, "b", b"x"), Item(2, b"row", b"x"), Item(3, "c", b"x")]
        failure = SyncFailure(position=1, source_id="b", key="wrong", raw_item=msgspec.Raw(b'"x"'))
        async with self.state() as state:
            for number, some in enumerate((items[:2], items[2:])):
                await state.record_sending(Delivery(make_batch(number, some, frame)))
            await state.record_ended(make_batch(0, items[:2], frame), [failure])
            await state.record_missing()

    def read(self, content: bytes) -> None:
        for suffix in ("-wal", "-shm", "-journal"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        self.path.write_bytes(content)
        for read in (self.read_failures, self.read_missing, lambda: asyncio.run(self.use())):
            with suppress(SyncStateError):
                read()

    def read_failures(self) -> None:
        for failure in read_failures(str(self.path)):
            assert failure.raw_item is not None

    def read_missing(self) -> None:
        assert all(isinstance(key, str) for key in read_missing(str(self.path)))

    async def use(self) -> None:
        frame = BodyTemplate(b"", b"", b"", 1_000, 9)
        async with self.state() as state:
            await state.begin_sync()
            for unsettled in await state.pending_batches():
                await state.settle(unsettled, [])
            await state.statuses([Item(0, "a", b"x"), Item(1, b"row", b"x")], frame)
            await state.missing_keys()
            await state.count_keys()
            await state.record_deleted("a")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return Recorded(tmp_path_factory.mktemp("state") / "state.sqlite")


def damage(data: st.DataObject, recorded: Recorded) -> None:
    content = bytearray(recorded.content)
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    recorded.read(bytes(content[: data.draw(st.just(len(content)) | st.integers(0, len(content)))]))


# ---------------------------------------------------------------- all of them

Check = Callable[[st.DataObject, Recorded], None]

CHECKS: Final[dict[str, Check]] = {
    "answers": lambda data, _: read_answer(data.draw(damaged(ANSWERS) | st.binary(max_size=64))),
    "headers": lambda data, _: read_headers(data.draw(st.dictionaries(st.sampled_from(NAMES), VALUES))),
    "cursors": lambda data, _: read_cursor(data.draw(damaged(CURSORS) | st.binary(max_size=64))),
    "payloads": lambda data, _: read_payload(data.draw(damaged(PAYLOADS) | st.binary(max_size=64))),
    "tables": lambda data, _: read_csv(data.draw(damaged(TABLES) | st.binary(max_size=64))),
    "states": damage,
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@settings(max_examples=100)
@given(data=st.data())
def test_only_errors_of_the_package_come_out(check: Check, recorded: Recorded, data: st.DataObject) -> None:
    check(data, recorded)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@settings(max_examples=int(10_000 * SOAK_SCALE))
@given(data=st.data())
def test_only_errors_of_the_package_come_out_for_long(
    check: Check, recorded: Recorded, data: st.DataObject
) -> None:
    check(data, recorded)
