from __future__ import annotations

import inspect
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voucherify_async import errors
from voucherify_async._sync.batches import Batch, BodyTemplate, Item, make_batch
from voucherify_async._sync.outcome import (
    ErrorAction,
    ResultReader,
    classify_error,
    fail_all,
    find_failures,
    read_bulk_result,
    read_import_result,
)
from voucherify_async._sync.results import SyncFailure
from voucherify_async.models.async_actions import AsyncAction
from voucherify_async.models.customers import CustomerUpsert

AGAIN, REFUSED, STOP = ErrorAction.RETRY, ErrorAction.REJECT, ErrorAction.STOP

VERDICTS = {
    errors.VoucherifyError: STOP,
    errors.ConfigurationError: STOP,
    errors.TransportError: AGAIN,
    errors.ConnectionFailedError: AGAIN,
    errors.PoolTimeoutError: AGAIN,
    errors.ConnectTimeoutError: AGAIN,
    errors.ReadTimeoutError: AGAIN,
    errors.ProxyError: AGAIN,
    errors.OutcomeUnknownError: AGAIN,
    errors.DeadlineExceededError: AGAIN,
    errors.APIStatusError: STOP,
    errors.BadRequestError: REFUSED,
    errors.AuthenticationError: STOP,
    errors.PaymentRequiredError: STOP,
    errors.PermissionDeniedError: STOP,
    errors.NotFoundError: STOP,
    errors.MethodNotAllowedError: STOP,
    errors.NotAcceptableError: STOP,
    errors.ConflictError: STOP,
    errors.PayloadTooLargeError: REFUSED,
    errors.UnsupportedMediaTypeError: STOP,
    errors.LockedError: AGAIN,
    errors.RateLimitError: AGAIN,
    errors.ServerError: AGAIN,
    errors.DecodeError: AGAIN,
    errors.PaginationError: STOP,
    errors.PageLimitError: STOP,
    errors.PaginationStalledError: STOP,
    errors.InvalidCursorError: STOP,
    errors.AsyncActionError: STOP,
    errors.AsyncActionFailedError: STOP,
    errors.AsyncActionTimeoutError: STOP,
    errors.SyncStateError: STOP,
    errors.SyncTimeoutError: STOP,
    errors.WebhookSignatureError: STOP,
}


class TestJudge:
    def test_the_table_has_every_error(self) -> None:
        tree = {
            kind
            for _, kind in inspect.getmembers(errors, inspect.isclass)
            if issubclass(kind, errors.VoucherifyError)
        }
        assert tree == set(VERDICTS)

    @pytest.mark.parametrize(("kind", "verdict"), VERDICTS.items())
    def test_by_class(self, kind: type[errors.VoucherifyError], verdict: ErrorAction) -> None:
        assert classify_error(kind("it went wrong"), max_server_wait=60.0) is verdict

    @pytest.mark.parametrize(
        ("status", "verdict"),
        [(400, REFUSED), (409, STOP), (410, STOP), (413, REFUSED), (418, STOP), (422, REFUSED), (423, AGAIN)]
        + [(status, AGAIN) for status in (429, 500, 501, 502, 503, 504, 520, 599)],
    )
    def test_by_status(self, status: int, verdict: ErrorAction) -> None:
        error = errors.status_error_class(status)("it went wrong", status=status)
        assert classify_error(error, max_server_wait=60.0) is verdict

    @pytest.mark.parametrize(
        ("wait", "kind", "most", "verdict"),
        [
            (None, None, 0.0, AGAIN),
            (0.9, None, 0.0, AGAIN),
            (1.0, None, 0.0, STOP),
            (60.0, "bulk_api_calls", 60.0, AGAIN),
            (60.9, "bulk_api_calls", 60.0, AGAIN),
            (61.0, "bulk_api_calls", 60.0, STOP),
            (1e9, "api_calls", 1e10, AGAIN),
            (1.0, "api_calls_cycle", 60.0, STOP),
            (None, "api_calls_cycle", 60.0, STOP),
        ],
    )
    def test_rate_limits(
        self, wait: float | None, kind: str | None, most: float, verdict: ErrorAction
    ) -> None:
        error = errors.RateLimitError("slow", status=429)
        error.retry_after, error.kind = wait, kind
        assert classify_error(error, max_server_wait=most) is verdict


# ---------------------------------------------------------------- jobs that have ended

FRAME = BodyTemplate(b"[", b",", b"]", 1_000, 100)
ROWS = BodyTemplate(b"Source_id\n", b"", b"", 1_000, 100, is_json=False)
NAMES = ("a", "ö", "c")


def customers(*keys: str, first: int = 10) -> Batch:
    return make_batch(
        0,
        [
            Item(first + n, key, json.dumps({"source_id": key}, ensure_ascii=False).encode())
            for n, key in enumerate(keys)
        ],
        FRAME,
    )


def rows(*keys: str | None, first: int = 10) -> Batch:
    return make_batch(
        0, [Item(first + n, key, f"{key or ''},ä\n".encode()) for n, key in enumerate(keys)], ROWS
    )


def ended(
    result: Any, *, status: str | None = "DONE", operation_status: str | None = None, raw: bytes | None = None
) -> AsyncAction:
    return AsyncAction(
        id="aa_1",
        status=status,
        operation_status=operation_status,
        raw_result=msgspec.Raw(json.dumps(result).encode() if raw is None else raw),
    )


def positions(failures: list[SyncFailure] | None) -> list[int | None] | None:
    return None if failures is None else [failure.position for failure in failures]


def error(source_id: str | None = None, **more: Any) -> dict[str, Any]:
    return {"source_id": source_id, "key": "wrong", "message": "it is wrong", **more}


BULK = [
    pytest.param({"done_count": 3, "failed_count": 0}, [], id="all went well"),
    pytest.param({"done_count": 3, "failed_count": 0, "errors": []}, [], id="no errors"),
    pytest.param({"done_count": 3}, [], id="only done_count"),
    pytest.param({"failed_count": 0}, [], id="only failed_count"),
    pytest.param({"done_count": 2, "failed_count": 1, "errors": [error("ö")]}, [11], id="named"),
    pytest.param({"errors": [error("c"), error("a")]}, [12, 10], id="named, and not counted"),
    pytest.param({"done_count": 2, "failed_count": 1, "errors": [error()]}, [None], id="unnamed"),
    pytest.param({"failed_count": 1, "errors": [error("x")]}, [None], id="unknown"),
    pytest.param({"failed_count": 1, "errors": [error("a"), error("a")]}, [10], id="named twice"),
    pytest.param({"failed_count": 2, "errors": [error("a"), error("a")]}, [10, None], id="twice, counted so"),
    pytest.param({"failed_count": 3, "errors": [error("c")]}, [12, None, None], id="more than are named"),
    pytest.param(
        {"failed_count": 1, "errors": [error("a"), error("c")]}, [10, 12], id="fewer than are named"
    ),
    pytest.param({"failed_count": 0, "errors": [error("a")]}, [10], id="none, and one is named"),
    pytest.param({"done_count": 1}, [None, None], id="fewer done than there are"),
    pytest.param({"done_count": 0}, [None] * 3, id="none done"),
    pytest.param({"done_count": 1, "errors": [error("a")]}, [10, None], id="fewer done, one named"),
    pytest.param({"done_count": 9}, [], id="more done than there are"),
    pytest.param({"done_count": 0, "failed_count": 0}, [None] * 3, id="no count counts anything"),
    pytest.param({"failed_count": 9}, [None] * 3, id="more failed than there are"),
    pytest.param({"failed_count": 9, "errors": [error("a")]}, [10, None, None], id="more failed, one named"),
    pytest.param({"failed_count": -1}, [], id="a negative failed_count"),
    pytest.param({"done_count": -1}, [None] * 3, id="a negative done_count"),
    pytest.param({"errors": [error()] * 2}, [None, None], id="errors without names or counts"),
    pytest.param({"errors": [error()] * 9}, [None] * 3, id="more errors than items"),
    pytest.param({"errors": [error()] * 3 + [error("a")]}, [10, None, None], id="the named ones first"),
    pytest.param({"errors": None, "failed_count": None, "done_count": 3}, [], id="nulls"),
    pytest.param({"errors": [{}], "unheard_of": [1]}, [None], id="an empty error"),
]

ROW_RESULTS = [
    pytest.param({"done_count": 3, "failed_count": 0, "failed": []}, [], id="all went well"),
    pytest.param({"message": "ok", "done_count": 3, "failed": None}, [], id="only done_count"),
    pytest.param({"failed": [{"row": 1}, {"row": 3}]}, [10, 12], id="rows"),
    pytest.param({"failed": [{"row": 2, "source_id": "a"}]}, [11], id="a row goes before a source id"),
    pytest.param({"failed": [{"row": 2}, {"row": 2}], "failed_count": 1}, [11], id="a row twice"),
    pytest.param({"failed": [{"row": 2}, {"source_id": "c"}]}, [11, 12], id="a source id"),
    pytest.param({"failed": [{"row": 3}, {"source_id": "c"}]}, [12], id="a row, and the same as source id"),
    pytest.param({"failed": [{"row": 0}]}, [None], id="row 0"),
    pytest.param({"failed": [{"row": -1}]}, [None], id="a negative row"),
    pytest.param({"failed": [{"row": 4}]}, [None], id="a row beyond the last"),
    pytest.param({"failed": [{"row": 10**40}]}, [None], id="a row beyond all"),
    pytest.param({"failed": [{"row": 4, "source_id": "a"}]}, [10], id="a row beyond, with a source id"),
    pytest.param({"failed": [{"row": None, "source_id": "a"}]}, [10], id="null, with a source id"),
    pytest.param({"failed": [{"row": None}]}, [None], id="null"),
    pytest.param({"failed": [{"source_id": ""}]}, [None], id="an empty source id"),
    pytest.param({"failed": [{"source_id": "x"}] * 9}, [None] * 3, id="more than there are"),
    pytest.param({"failed": [{"row": 2}], "failed_count": 2}, [11, None], id="more than are named"),
    pytest.param({"done_count": 0, "failed": [{"row": 2}]}, [11, None, None], id="fewer done"),
]

UNREADABLE = [
    pytest.param(b"null", id="null"),
    pytest.param(b"[]", id="a list"),
    pytest.param(b'[{"done_count":3}]', id="a list of results"),
    pytest.param(b'"done"', id="a string"),
    pytest.param(b"3", id="a number"),
    pytest.param(b"true", id="true"),
    pytest.param(b'{"done_count":"3"}', id="a count that is a string"),
    pytest.param(b'{"done_count":2.5}', id="a count that is a fraction"),
    pytest.param(b"", id="nothing"),
    pytest.param(b"{", id="no JSON"),
]

BOTH: list[tuple[ResultReader, Batch]] = [
    (read_bulk_result, customers(*NAMES)),
    (read_import_result, rows(*NAMES)),
]


class TestAccount:
    @pytest.mark.parametrize(("result", "failed"), BULK)
    def test_bulk(self, result: Any, failed: list[int | None]) -> None:
        failures = find_failures(ended(result), customers(*NAMES), read_bulk_result)
        assert positions(failures) == failed

    @pytest.mark.parametrize(("result", "failed"), ROW_RESULTS)
    def test_csv(self, result: Any, failed: list[int | None]) -> None:
        assert positions(find_failures(ended(result), rows("a", None, "c"), read_import_result)) == failed

    @pytest.mark.parametrize(("accounting", "batch"), BOTH)
    @pytest.mark.parametrize("status", ["FAILED", "IN_PROGRESS", "ENQUEUED", "UNHEARD_OF", None])
    @pytest.mark.parametrize("operation_status", ["SUCCESS", "FAILED", None])
    def test_a_job_that_is_not_done_says_nothing(
        self, status: str | None, operation_status: str | None, accounting: ResultReader, batch: Batch
    ) -> None:
        action = ended({"done_count": 3}, status=status, operation_status=operation_status)
        assert find_failures(action, batch, accounting) is None

    @pytest.mark.parametrize(("accounting", "batch"), BOTH)
    @pytest.mark.parametrize("raw", UNREADABLE)
    @pytest.mark.parametrize("operation_status", ["FAILED", "UNKNOWN", "UNHEARD_OF", None])
    def test_a_result_that_cannot_be_read_says_nothing(
        self, raw: bytes, operation_status: str | None, accounting: ResultReader, batch: Batch
    ) -> None:
        action = ended(None, raw=raw, operation_status=operation_status)
        assert find_failures(action, batch, accounting) is None

    @pytest.mark.parametrize(("accounting", "batch"), BOTH)
    def test_without_a_result_the_status_of_the_operation_says_that_it_went_well(
        self, accounting: ResultReader, batch: Batch
    ) -> None:
        assert find_failures(ended(None, operation_status="SUCCESS"), batch, accounting) == []

    @pytest.mark.parametrize(
        ("accounting", "batch", "raw"),
        [
            (
                read_bulk_result,
                customers(*NAMES),
                b'{"failed_count":1,"errors":[{"source_id":"a","code":400}]}',
            ),
            (read_bulk_result, customers(*NAMES), b'{"failed_count":1,"errors":{"source_id":"a"}}'),
            (read_bulk_result, customers(*NAMES), b'{"failed_count":3,"reports":"https://reports"}'),
            (read_import_result, rows(*NAMES), b'{"failed_count":1,"failed":[{"row":"1"}]}'),
        ],
    )
    def test_failures_that_are_not_as_documented_are_no_success(
        self, accounting: ResultReader, batch: Batch, raw: bytes
    ) -> None:
        action = ended(None, raw=raw, operation_status="SUCCESS")
        assert find_failures(action, batch, accounting) != []

    @pytest.mark.parametrize(("accounting", "batch"), BOTH)
    @pytest.mark.parametrize(
        "result", [{}, {"message": "it failed"}, {"done_count": None}, {"errors": [], "failed": []}]
    )
    def test_a_result_that_says_nothing_of_an_operation_that_failed_is_no_success(
        self, result: Any, accounting: ResultReader, batch: Batch
    ) -> None:
        assert find_failures(ended(result, operation_status="FAILED"), batch, accounting) != []

    @pytest.mark.parametrize(
        ("accounting", "batch", "raw"),
        [
            (read_bulk_result, customers(*NAMES), b'{"failed_count":1,"errors":[{"message":"\xff"}]}'),
            (read_import_result, rows(*NAMES), b'{"failed_count":1,"failed":[{"reason":"\xff"}]}'),
        ],
    )
    def test_a_result_that_is_not_utf_8_is_read_all_the_same(
        self, accounting: ResultReader, batch: Batch, raw: bytes
    ) -> None:
        whole = b'{"id":"aa_1","status":"DONE","result":' + raw + b"}"
        action = msgspec.json.decode(whole, type=AsyncAction)
        failures = find_failures(action, batch, accounting)
        assert failures is not None
        assert [failure.message for failure in failures] == ["\ufffd"]

    def test_an_error_without_a_source_id_is_of_no_item(self) -> None:
        assert positions(find_failures(ended({"errors": [error()]}), rows("a", None), read_bulk_result)) == [
            None
        ]

    def test_all_that_a_bulk_update_says_of_a_failure(self) -> None:
        result = {"errors": [error("ö", details="so wrong", code="c_1"), error("x", details="unknown")]}
        assert find_failures(ended(result), customers(*NAMES), read_bulk_result) == [
            SyncFailure(
                position=11,
                source_id="ö",
                key="wrong",
                message="it is wrong",
                details="so wrong",
                raw_item=msgspec.Raw('{"source_id": "ö"}'.encode()),
            ),
            SyncFailure(source_id="x", key="wrong", message="it is wrong", details="unknown"),
        ]

    def test_all_that_an_import_says_of_a_failure(self) -> None:
        result = {"failed": [{"row": 1, "source_id": "told", "code": "c_1", "reason": "so"}, {"row": 2}]}
        failures = find_failures(ended(result), rows(None, "b"), read_import_result)
        assert failures is not None
        first, second = failures
        assert (first.position, first.source_id, first.key, first.message) == (10, "told", "c_1", "so")
        assert first.item == ",ä\n"
        assert (second.position, second.source_id, second.item) == (11, "b", "b,ä\n")

    def test_what_is_counted_and_not_named_names_the_job(self) -> None:
        failures = find_failures(ended({"failed_count": 1}), customers(*NAMES), read_bulk_result)
        assert failures is not None
        (failure,) = failures
        assert (failure.key, failure.item, failure.source_id) == ("unnamed", None, None)
        assert failure.message == "the job aa_1 applied fewer items than its list of failures implies"


class TestLongTexts:
    """A service may say any amount of each item."""

    def test_of_what_a_job_says_the_beginning_is_kept(self) -> None:
        huge = "d" * 200_000
        result = {"errors": [error("a", details=huge, message=huge), error("x", details=huge, key=huge)]}
        failures = find_failures(ended(result), customers("a", "b"), read_bulk_result)
        assert failures is not None
        assert [(failure.message, failure.details) for failure in failures] == [
            ("d" * 1_000, "d" * 1_000),
            ("it is wrong", "d" * 1_000),
        ]
        imported = {"failed": [{"row": 1, "code": huge, "reason": huge}]}
        failures = find_failures(ended(imported), rows("a"), read_import_result)
        assert failures is not None
        assert (failures[0].key, failures[0].message) == ("d" * 1_000, "d" * 1_000)

    def test_all_items_of_a_batch_share_it(self) -> None:
        huge = "d" * 200_000
        failures = fail_all(customers("a", "b"), key=None, message=huge, details=huge)
        assert {len(failure.details or "") for failure in failures} == {1_000}
        assert len({id(failure.details) for failure in failures} | {id(f.message) for f in failures}) == 2


class TestAllFailed:
    def test_customers(self) -> None:
        failures = fail_all(customers(*NAMES), key="job_failed", message="it failed", details="so")
        assert positions(failures) == [10, 11, 12]
        assert [failure.source_id for failure in failures] == ["a", "ö", "c"]
        assert [failure.item for failure in failures] == [CustomerUpsert(source_id=name) for name in NAMES]
        assert {(failure.key, failure.message, failure.details) for failure in failures} == {
            ("job_failed", "it failed", "so")
        }

    def test_rows(self) -> None:
        failures = fail_all(rows("a", None), key=None, message="it failed")
        assert [(failure.source_id, failure.item) for failure in failures] == [
            ("a", "a,ä\n"),
            (None, ",ä\n"),
        ]


COUNTS = st.none() | st.integers(-3, 9)
SOURCE_IDS = st.none() | st.sampled_from([*NAMES, "x", ""])
RESULTS = st.fixed_dictionaries(
    {},
    optional={
        "done_count": COUNTS,
        "failed_count": COUNTS,
        "errors": st.none()
        | st.lists(
            st.fixed_dictionaries({}, optional={"source_id": SOURCE_IDS, "message": st.none() | st.text()}),
            max_size=6,
        ),
        "failed": st.none()
        | st.lists(
            st.fixed_dictionaries({}, optional={"source_id": SOURCE_IDS, "row": COUNTS, "code": st.text()}),
            max_size=6,
        ),
    },
)


@settings(max_examples=300)
@given(RESULTS, st.sampled_from(["SUCCESS", "FAILED", None]), st.integers(1, 3))
def test_no_more_failures_than_items_and_none_of_an_item_twice(
    result: dict[str, Any], operation_status: str | None, size: int
) -> None:
    cases: list[tuple[ResultReader, Batch, str]] = [
        (read_bulk_result, customers(*NAMES[:size]), "errors"),
        (read_import_result, rows(*NAMES[:size]), "failed"),
    ]
    for accounting, batch, names in cases:
        failures = find_failures(ended(result, operation_status=operation_status), batch, accounting) or []
        assert len(failures) <= len(batch)
        places = [failure.position for failure in failures if failure.position is not None]
        assert len(set(places)) == len(places)
        assert set(places) <= set(batch.positions)
        assert len(failures) >= min(result.get("failed_count") or 0, size)
        assert bool(failures) >= bool(result.get(names))


@settings(max_examples=50)
@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | inner)
)
def test_whatever_the_result_is(result: Any) -> None:
    for accounting, batch in BOTH:
        assert find_failures(ended(result, operation_status="UNKNOWN"), batch, accounting) is None
