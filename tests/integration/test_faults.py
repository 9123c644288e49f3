"""What a caller sees of each fault between client and service, and what the service holds afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.clocks import use_clock
from tests.support.faults import (
    BadGateway,
    BadGatewayAfter,
    CloseAfterAnswer,
    CloseBefore,
    CutBody,
    CutChunks,
    Fault,
    FaultProxy,
    Garbage,
    ResetAfter,
    ResetBefore,
    ResetInBody,
    ResetInHead,
    ResetNextRequest,
    Slow,
    StaleConnection,
    StallAfter,
    StallBefore,
    TooMany,
    Unavailable,
    WrongEncoding,
    WrongShape,
    fault_proxy,
    refusing,
)
from tests.support.wire import NO_RETRY
from voucherify_async import (
    ConnectionFailedError,
    DecodeError,
    NotFoundError,
    OutcomeUnknownError,
    RateLimitError,
    ReadTimeoutError,
    RetryPolicy,
    ServerError,
    VoucherifyClient,
    VoucherifyError,
)
from voucherify_async.sandbox import Sandbox

Call = Callable[[VoucherifyClient], Awaitable[Any]]
Failure = type[VoucherifyError]

SHORT = 0.1
"""Seconds for an attempt that is to end by its timeout."""

# Sent, and no usable answer: the fault, and as what the attempt has failed.
UNANSWERED = [
    pytest.param(ResetBefore(), ConnectionFailedError, id="reset before"),
    pytest.param(CloseBefore(), ConnectionFailedError, id="closed before"),
    pytest.param(Garbage(), ConnectionFailedError, id="bytes that are not HTTP"),
    pytest.param(Garbage(b"220 mail.example.com ESMTP\r\n\r\n"), ConnectionFailedError, id="not HTTP"),
    pytest.param(ResetAfter(), ConnectionFailedError, id="reset after"),
    pytest.param(ResetInHead(), ConnectionFailedError, id="reset in the head"),
    pytest.param(ResetInBody(), ConnectionFailedError, id="reset in the body"),
    pytest.param(CutBody(), ConnectionFailedError, id="cut body"),
    pytest.param(CutChunks(), ConnectionFailedError, id="cut chunks"),
    pytest.param(StallBefore(), ReadTimeoutError, id="stall before"),
    pytest.param(StallAfter(), ReadTimeoutError, id="stall after"),
    pytest.param(Slow(pause=0.02), ReadTimeoutError, id="slow"),
]
# An answer came that says that the service, or something before it, failed.
FAILED = [
    pytest.param(BadGateway(), ServerError, id="502 before"),
    pytest.param(BadGatewayAfter(), ServerError, id="502 after"),
    pytest.param(Unavailable(), ServerError, id="503"),
    pytest.param(Unavailable(retry_after=1), ServerError, id="503 and when"),
]
# An answer came that says that the call was refused: it certainly was not applied.
REFUSED = [
    pytest.param(TooMany(), RateLimitError, id="429"),
    pytest.param(TooMany(retry_after=1), RateLimitError, id="429 and when"),
]
# A success came whose body cannot be what it should be; it would not be better the next time.
UNREADABLE = [
    pytest.param(WrongShape(), id="wrong shape"),
    pytest.param(WrongEncoding(), id="wrong encoding"),
]
# Answered; what is wrong then is the connection.
STALE = [
    pytest.param(CloseAfterAnswer(), id="closed after the answer"),
    pytest.param(ResetNextRequest(), id="reset under the next request"),
]


async def keyed(client: VoucherifyClient) -> Any:
    return await client.customers.create(source_id="a", name="Ada")


async def unkeyed(client: VoucherifyClient) -> Any:
    return await client.customers.create(name="Ada")


async def get(client: VoucherifyClient) -> Any:
    return await client.customers.get("a")


async def update(client: VoucherifyClient) -> Any:
    return await client.customers.update("a", name="Ada")


async def delete(client: VoucherifyClient) -> Any:
    return await client.customers.delete("a")


async def first_page(client: VoucherifyClient) -> Any:
    return await client.customers.list(limit=1)


@asynccontextmanager
async def through(
    sandbox: Sandbox, *plan: Fault | None, **settings: Any
) -> AsyncGenerator[tuple[FaultProxy, VoucherifyClient]]:
    """A proxy with this plan, and a client that goes through it and does not wait between attempts."""
    if any(isinstance(fault, StallBefore | StallAfter | Slow) for fault in plan):
        settings.setdefault("timeout", SHORT)
    async with (
        fault_proxy(sandbox.base_url, plan) as proxy,
        sandbox.client(base_url=proxy.base_url, **settings) as client,
    ):
        use_clock(client)
        yield proxy, client


def kinds(failures: Sequence[VoucherifyError]) -> list[Failure]:
    return [type(failure) for failure in failures]


def names(sandbox: Sandbox) -> list[str | None]:
    """Of the customers that the sandbox holds."""
    return [record.fields.get("name") for record in sandbox.store.customers.values()]


# ---------------------------------------------------------------- what may be repeated


@pytest.mark.parametrize(("fault", "failure"), [*UNANSWERED, *FAILED, *REFUSED])
class TestRepeatable:
    async def test_a_create_succeeds_at_the_second_attempt(
        self, sandbox: Sandbox, fault: Fault, failure: Failure
    ) -> None:
        async with through(sandbox, fault) as (proxy, client):
            customer = await keyed(client)
        assert customer.source_id == "a"
        assert [arrival.forwarded for arrival in proxy.arrivals] == [fault.forwarded, True]
        assert names(sandbox) == ["Ada"]

    @pytest.mark.parametrize("call", [get, update])
    async def test_a_get_or_an_update_succeeds_at_the_second_attempt(
        self, sandbox: Sandbox, fault: Fault, failure: Failure, call: Call
    ) -> None:
        sandbox.store.upsert({"source_id": "a", "name": "Ada"})
        async with through(sandbox, fault) as (proxy, client):
            customer = await call(client)
        assert (customer.source_id, customer.name) == ("a", "Ada")
        assert [arrival.forwarded for arrival in proxy.arrivals] == [fault.forwarded, True]
        assert names(sandbox) == ["Ada"]

    async def test_one_attempt_shows_what_went_wrong(
        self, sandbox: Sandbox, fault: Fault, failure: Failure
    ) -> None:
        async with through(sandbox, fault, fault, retry=NO_RETRY) as (proxy, client):
            with pytest.raises(VoucherifyError) as create:
                await keyed(client)
            with pytest.raises(VoucherifyError) as read:
                await get(client)
        assert (type(create.value), type(read.value)) == (failure, failure)
        assert create.value.may_have_been_applied is (failure is not RateLimitError)
        assert not read.value.may_have_been_applied
        assert len(proxy.arrivals) == 2
        assert len(sandbox.store.customers) == fault.forwarded


@pytest.mark.parametrize("fault", UNREADABLE)
@pytest.mark.parametrize(
    ("call", "applied"), [(keyed, True), (unkeyed, True), (update, True), (get, False), (first_page, False)]
)
async def test_an_answer_that_cannot_be_read_is_not_asked_for_again(
    sandbox: Sandbox, fault: Fault, call: Call, applied: bool
) -> None:
    if call is not unkeyed:
        sandbox.store.upsert({"source_id": "a"})
    async with through(sandbox, fault) as (proxy, client):
        with pytest.raises(DecodeError) as caught:
            await call(client)
    assert caught.value.may_have_been_applied is applied
    assert (caught.value.status, caught.value.attempts) == (200, ())
    assert [arrival.forwarded for arrival in proxy.arrivals] == [True]
    assert len(sandbox.store.customers) == 1


# ---------------------------------------------------------------- what may not


class TestUnrepeatable:
    @pytest.mark.parametrize(("fault", "failure"), UNANSWERED)
    async def test_without_an_answer_the_outcome_is_unknown(
        self, sandbox: Sandbox, fault: Fault, failure: Failure
    ) -> None:
        async with through(sandbox, fault) as (proxy, client):
            with pytest.raises(OutcomeUnknownError) as caught:
                await unkeyed(client)
        assert caught.value.may_have_been_applied
        assert kinds(caught.value.attempts) == [failure]
        assert [arrival.forwarded for arrival in proxy.arrivals] == [fault.forwarded]
        assert len(sandbox.store.customers) == fault.forwarded

    @pytest.mark.parametrize(("fault", "failure"), FAILED)
    async def test_a_failure_of_the_service_is_told_at_once(
        self, sandbox: Sandbox, fault: Fault, failure: Failure
    ) -> None:
        """Whether it was forwarded or not: the client cannot know."""
        async with through(sandbox, fault) as (proxy, client):
            with pytest.raises(ServerError) as caught:
                await unkeyed(client)
        assert caught.value.may_have_been_applied
        assert caught.value.attempts == ()
        assert [arrival.forwarded for arrival in proxy.arrivals] == [fault.forwarded]
        assert len(sandbox.store.customers) == fault.forwarded

    @pytest.mark.parametrize(("fault", "failure"), REFUSED)
    async def test_what_was_refused_is_made_again(
        self, sandbox: Sandbox, fault: Fault, failure: Failure
    ) -> None:
        async with through(sandbox, fault) as (proxy, client):
            assert (await unkeyed(client)).name == "Ada"
        assert [arrival.forwarded for arrival in proxy.arrivals] == [False, True]
        assert names(sandbox) == ["Ada"]

    @pytest.mark.parametrize("fault", STALE)
    async def test_what_was_answered_succeeds(self, sandbox: Sandbox, fault: Fault) -> None:
        async with through(sandbox, fault) as (proxy, client):
            assert (await unkeyed(client)).name == "Ada"
        assert len(proxy.arrivals) == 1
        assert names(sandbox) == ["Ada"]


class TestOneFaultAfterAnother:
    async def test_an_unknown_outcome_after_a_refusal(self, sandbox: Sandbox) -> None:
        async with through(sandbox, TooMany(), ResetAfter()) as (proxy, client):
            with pytest.raises(OutcomeUnknownError) as caught:
                await unkeyed(client)
        assert kinds(caught.value.attempts) == [RateLimitError, ConnectionFailedError]
        assert len(proxy.arrivals) == 2
        assert names(sandbox) == ["Ada"]

    async def test_refusals_to_the_end(self, sandbox: Sandbox) -> None:
        async with through(sandbox, *[TooMany()] * 4) as (proxy, client):
            with pytest.raises(RateLimitError) as caught:
                await unkeyed(client)
        assert not caught.value.may_have_been_applied
        assert kinds(caught.value.attempts) == [RateLimitError] * 3
        assert len(proxy.arrivals) == 4
        assert names(sandbox) == []

    async def test_refusals_after_a_lost_answer(self, sandbox: Sandbox) -> None:
        """The first attempt was applied, whatever became of the others."""
        async with through(sandbox, ResetAfter(), *[TooMany()] * 3) as (proxy, client):
            with pytest.raises(RateLimitError) as caught:
                await keyed(client)
        assert caught.value.may_have_been_applied
        assert len(proxy.arrivals) == 4
        assert names(sandbox) == ["Ada"]

    async def test_a_different_fault_each_time(self, sandbox: Sandbox) -> None:
        async with through(sandbox, CutBody(), BadGatewayAfter(), StallAfter()) as (proxy, client):
            assert (await keyed(client)).name == "Ada"
        assert [arrival.forwarded for arrival in proxy.arrivals] == [True] * 4
        assert names(sandbox) == ["Ada"]

    async def test_an_answer_that_cannot_be_read_after_one_that_was_lost(self, sandbox: Sandbox) -> None:
        async with through(sandbox, ResetAfter(), WrongShape()) as (proxy, client):
            with pytest.raises(DecodeError) as caught:
                await get(client)
        assert kinds(caught.value.attempts) == [ConnectionFailedError]
        assert len(proxy.arrivals) == 2


# ---------------------------------------------------------------- connections refused


class TestNobodyListens:
    @pytest.mark.parametrize("call", [keyed, unkeyed, get, update, delete])
    async def test_all_attempts_are_made_and_nothing_was_applied(self, sandbox: Sandbox, call: Call) -> None:
        with refusing() as (base_url, _):
            async with sandbox.client(base_url=base_url) as client:
                use_clock(client)
                with pytest.raises(ConnectionFailedError) as caught:
                    await call(client)
        assert not caught.value.may_have_been_applied
        assert kinds(caught.value.attempts) == [ConnectionFailedError] * 3

    @pytest.mark.parametrize("call", [keyed, unkeyed])
    async def test_an_attempt_after_somebody_does_succeeds(self, sandbox: Sandbox, call: Call) -> None:
        retry = RetryPolicy(attempts=1_000, base=0.01, cap=0.01)
        with refusing() as (base_url, sock):
            async with sandbox.client(base_url=base_url, retry=retry) as client:
                waiting = asyncio.ensure_future(call(client))
                await asyncio.sleep(0.03)
                async with fault_proxy(sandbox.base_url, sock=sock) as proxy:
                    assert (await waiting).name == "Ada"
        assert len(proxy.arrivals) == 1
        assert names(sandbox) == ["Ada"]


# ---------------------------------------------------------------- connections that were kept too long


class TestStaleConnections:
    """None of the retry policy's attempts is spent on them: `NO_RETRY` leaves no other."""

    @pytest.mark.parametrize("call", [keyed, get, update, delete, first_page])
    async def test_one_that_is_reset_under_a_request_is_not_seen(self, sandbox: Sandbox, call: Call) -> None:
        sandbox.store.upsert({"source_id": "a"})
        async with through(sandbox, ResetNextRequest(), retry=NO_RETRY) as (proxy, client):
            await get(client)
            await call(client)
        assert [arrival.fault for arrival in proxy.arrivals] == [ResetNextRequest(), StaleConnection(), None]
        assert [arrival.connection for arrival in proxy.arrivals] == [1, 1, 2]
        assert len(sandbox.store.customers) == (call is not delete)

    @pytest.mark.parametrize("call", [keyed, get, update, delete, first_page])
    @pytest.mark.parametrize("noticed", [False, True])
    async def test_one_that_was_closed_is_not_seen(self, sandbox: Sandbox, call: Call, noticed: bool) -> None:
        sandbox.store.upsert({"source_id": "a"})
        async with through(sandbox, CloseAfterAnswer(), retry=NO_RETRY) as (proxy, client):
            await get(client)
            if noticed:
                await asyncio.sleep(0.02)
            await call(client)
        assert [arrival.connection for arrival in proxy.arrivals] == [1, 2]
        assert len(sandbox.store.customers) == (call is not delete)

    @pytest.mark.parametrize("fault", [ResetBefore(), CloseBefore(), ResetAfter()])
    @pytest.mark.parametrize("call", [keyed, get, update])
    async def test_one_that_breaks_before_an_answer_is_taken_for_one(
        self, sandbox: Sandbox, fault: Fault, call: Call
    ) -> None:
        """From the client's side it looks the same."""
        sandbox.store.upsert({"source_id": "a"})
        async with through(sandbox, None, fault, retry=NO_RETRY) as (proxy, client):
            await get(client)
            await call(client)
        assert [arrival.connection for arrival in proxy.arrivals] == [1, 1, 2]

    async def test_a_new_one_that_breaks_is_not(self, sandbox: Sandbox) -> None:
        async with through(sandbox, None, ResetBefore(), ResetBefore(), retry=NO_RETRY) as (proxy, client):
            await keyed(client)
            with pytest.raises(ConnectionFailedError):
                await get(client)
        assert [arrival.connection for arrival in proxy.arrivals] == [1, 1, 2]

    async def test_many_of_them_are_not_seen(self, sandbox: Sandbox) -> None:
        sandbox.store.upsert({"source_id": "a"})
        async with through(sandbox, *[ResetNextRequest()] * 5, retry=NO_RETRY) as (proxy, client):
            await asyncio.gather(*(get(client) for _ in range(5)))
            assert proxy.connections == 5
            await update(client)
        assert names(sandbox) == ["Ada"]

    async def test_many_calls_at_once_do_not_see_them(self, sandbox: Sandbox) -> None:
        sandbox.store.upsert({"source_id": "a"})
        async with through(sandbox, *[ResetNextRequest()] * 5, retry=NO_RETRY) as (proxy, client):
            await asyncio.gather(*(get(client) for _ in range(5)))
            assert proxy.connections == 5
            await asyncio.gather(*(call(client) for call in (get, update, keyed, get, update)))
        assert names(sandbox) == ["Ada"]

    async def test_what_may_not_be_repeated_is_not(self, sandbox: Sandbox) -> None:
        async with through(sandbox, ResetNextRequest()) as (proxy, client):
            await client.customers.create(source_id="a", name="first")
            with pytest.raises(OutcomeUnknownError) as caught:
                await unkeyed(client)
        assert kinds(caught.value.attempts) == [ConnectionFailedError]
        assert [arrival.forwarded for arrival in proxy.arrivals] == [True, False]
        assert names(sandbox) == ["first"]

    async def test_what_may_not_be_repeated_is_sent_where_the_end_was_noticed(self, sandbox: Sandbox) -> None:
        async with through(sandbox, CloseAfterAnswer()) as (proxy, client):
            await client.customers.create(source_id="a", name="first")
            try:
                await unkeyed(client)
                expected = ["first", "Ada"]
            except OutcomeUnknownError:  # the end was on its way
                expected = ["first"]
        assert names(sandbox) == expected
        assert len(proxy.arrivals) == len(expected)


# ---------------------------------------------------------------- deletions


class TestDelete:
    @pytest.mark.parametrize(("fault", "failure"), [*UNANSWERED, *FAILED, *REFUSED])
    async def test_it_succeeds_at_the_second_attempt(
        self, sandbox: Sandbox, fault: Fault, failure: Failure
    ) -> None:
        """Not found, too, is success after an attempt that may have deleted the customer."""
        sandbox.store.upsert({"source_id": "a"})
        async with through(sandbox, fault) as (proxy, client):
            await client.customers.delete("a")
        statuses = [204, 404] if fault.forwarded else [None, 204]
        assert [arrival.status for arrival in proxy.arrivals] == statuses
        assert not sandbox.store.customers

    async def test_not_found_after_an_answer_that_was_lost_on_a_kept_connection(
        self, sandbox: Sandbox
    ) -> None:
        """The second request is no attempt of the policy's, and what it says counts the same."""
        sandbox.store.upsert({"source_id": "a"})
        async with through(sandbox, None, ResetAfter(), retry=NO_RETRY) as (proxy, client):
            await get(client)
            await client.customers.delete("a")
        assert [arrival.status for arrival in proxy.arrivals] == [200, 204, 404]

    async def test_not_found_at_once(self, sandbox: Sandbox) -> None:
        async with through(sandbox) as (proxy, client):
            with pytest.raises(NotFoundError) as caught:
                await client.customers.delete("a")
        assert not caught.value.may_have_been_applied
        assert len(proxy.arrivals) == 1

    async def test_not_found_after_a_refusal(self, sandbox: Sandbox) -> None:
        """The refused attempt cannot have been the one that deleted it."""
        async with through(sandbox, TooMany()) as (proxy, client):
            with pytest.raises(NotFoundError) as caught:
                await client.customers.delete("a")
        assert not caught.value.may_have_been_applied
        assert len(proxy.arrivals) == 2

    async def test_a_lost_answer_without_another_attempt(self, sandbox: Sandbox) -> None:
        sandbox.store.upsert({"source_id": "a"})
        async with through(sandbox, ResetAfter(), retry=NO_RETRY) as (proxy, client):
            with pytest.raises(ConnectionFailedError) as caught:
                await client.customers.delete("a")
        assert caught.value.may_have_been_applied
        assert len(proxy.arrivals) == 1
        assert not sandbox.store.customers

    async def test_what_the_answer_says_does_not_matter(self, sandbox: Sandbox) -> None:
        sandbox.store.upsert({"source_id": "a"})
        async with through(sandbox, WrongShape()) as (proxy, client):
            await client.customers.delete("a")
        assert len(proxy.arrivals) == 1
        assert not sandbox.store.customers
