from __future__ import annotations

import pickle
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aioresponses import aioresponses

from tests.support.clocks import FakeClock, use_clock
from voucherify_async import (
    AsyncAction,
    AsyncActionFailedError,
    AsyncActionTimeoutError,
    DeadlineExceededError,
    NotFoundError,
    RetryPolicy,
    VoucherifyClient,
)
from voucherify_async.sandbox import Sandbox

URL = "https://api.voucherify.io/v1/async-actions/aa_1"


def action(status: str, progress: int = 0) -> dict[str, Any]:
    return {"id": "aa_1", "status": status, "progress": progress, "request_id": "v-1"}


class TestWait:
    @pytest.fixture
    async def client(self) -> AsyncIterator[VoucherifyClient]:
        async with VoucherifyClient("id", "token") as client:
            yield client

    async def test_pauses_grow(self, client: VoucherifyClient, answers: aioresponses) -> None:
        clock = use_clock(client)
        for progress in range(15):
            answers.get(URL, payload=action("IN_PROGRESS", progress))
        answers.get(URL, payload=action("DONE", 100))
        seen: list[AsyncAction] = []
        job = await client.async_actions.wait("aa_1", on_progress=seen.append)
        assert job.status == "DONE"
        assert [found.progress for found in seen] == [*range(15), 100]
        assert clock.slept[:3] == pytest.approx([0.1, 0.15, 0.225])
        assert clock.slept == sorted(clock.slept)
        assert clock.slept[-1] == 5.0

    async def test_a_job_that_failed(self, client: VoucherifyClient, answers: aioresponses) -> None:
        answers.get(URL, payload=action("FAILED", 40))
        with pytest.raises(
            AsyncActionFailedError, match=r"async_actions\.wait: the job aa_1 failed .*v-1"
        ) as caught:
            await client.async_actions.wait("aa_1")
        assert caught.value.action is not None
        assert caught.value.action.progress == 40
        assert pickle.loads(pickle.dumps(caught.value)).action == caught.value.action

    @pytest.mark.parametrize("status", ["ENQUEUED", "IN_PROGRESS", "PONDERING"])
    async def test_a_job_that_takes_too_long(
        self, client: VoucherifyClient, answers: aioresponses, status: str
    ) -> None:
        clock = use_clock(client)
        answers.get(URL, payload=action(status, 7), repeat=True)
        with pytest.raises(
            AsyncActionTimeoutError, match=f"is {status} .7 %. after 3.0 s; it keeps running"
        ) as caught:
            await client.async_actions.wait("aa_1", timeout=3.0)
        assert caught.value.action is not None
        assert caught.value.action.id == "aa_1"
        assert sum(clock.slept) == pytest.approx(3.0)

    async def test_a_last_look_has_an_end(self) -> None:
        async with Sandbox(latency=30.0) as sandbox, sandbox.client() as client:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("voucherify_async.resources.async_actions._FINAL_POLL_SECONDS", 0.05)
                with pytest.raises(AsyncActionTimeoutError):
                    await client.async_actions.wait("aa_1", timeout=0)

    async def test_a_look_without_waiting(self, client: VoucherifyClient, answers: aioresponses) -> None:
        answers.get(URL, payload=action("IN_PROGRESS"))
        with pytest.raises(AsyncActionTimeoutError):
            await client.async_actions.wait("aa_1", timeout=0)

    async def test_an_answer_that_does_not_come_does_not_hold_it_up(self) -> None:
        async with Sandbox(latency=5.0) as sandbox, sandbox.client() as client:
            with pytest.raises(
                AsyncActionTimeoutError,
                match="the job aa_1 is in an unknown state after 0.1 s; it keeps running",
            ) as caught:
                await client.async_actions.wait("aa_1", timeout=0.1)
            assert caught.value.action is None
            # A retry that would come too late ends the wait too, as what it is.
            impatient = client.with_options(timeout=0.02, retry=RetryPolicy(base=5.0, cap=5.0))
            without_chance = use_clock(impatient)
            with pytest.raises(AsyncActionTimeoutError):
                await impatient.async_actions.wait("aa_1", timeout=1.0)
            assert without_chance.slept == []
            patient = client.with_options(deadline=0.05)
            with pytest.raises(DeadlineExceededError):
                await patient.async_actions.wait("aa_1", timeout=30)

    @pytest.mark.parametrize("seconds", [-1, float("nan")])
    async def test_bad_timeouts(self, client: VoucherifyClient, seconds: float) -> None:
        with pytest.raises(ValueError, match="^timeout must be"):
            await client.async_actions.wait("aa_1", timeout=seconds)

    async def test_a_job_that_does_not_exist(self, voucherify: VoucherifyClient) -> None:
        with pytest.raises(NotFoundError) as caught:
            await voucherify.async_actions.wait("aa_absent")
        assert caught.value.resource_type == "async_action"


async def test_get_sees_a_job_through_its_life(voucherify: VoucherifyClient, sandbox: Sandbox) -> None:
    clock = sandbox.store.clock = FakeClock(1_000_000.0)
    first = await voucherify.customers.update_in_bulk([{"source_id": "a"}])
    second = await voucherify.customers.update_in_bulk([{"source_id": "b"}])

    async def statuses() -> list[str | None]:
        return [
            (await voucherify.async_actions.get(receipt.async_action_id)).status
            for receipt in (first, second)
        ]

    assert await statuses() == ["IN_PROGRESS", "ENQUEUED"]
    assert len(sandbox.store.customers) == 0
    clock.now += 0.06
    assert await statuses() == ["DONE", "IN_PROGRESS"]
    assert len(sandbox.store.customers) == 1
    clock.now += 0.06
    assert await statuses() == ["DONE", "DONE"]
    job = await voucherify.async_actions.get(second.async_action_id)
    assert (job.progress, job.operation_status) == (100, "SUCCESS")
    assert job.processing_time == 100
    assert job.request_id is not None


async def test_a_receipt_stands_for_its_job(voucherify: VoucherifyClient) -> None:
    receipt = await voucherify.customers.update_in_bulk([{"source_id": "a"}])
    action = await voucherify.async_actions.wait(receipt)
    assert action.id == receipt.async_action_id
    assert action.result is not None
    assert action.result.done_count == 1
    assert await voucherify.async_actions.get(receipt) == action
    assert await voucherify.async_actions.wait(action, timeout=0) == action
    assert repr(action) == f"AsyncAction(id={action.id!r}, type='CUSTOMERS.BULK_UPDATE', status='DONE')"
