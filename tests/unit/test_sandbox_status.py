from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

import pytest

from tests.support.clocks import FakeClock
from voucherify_async.sandbox import Exchange, Quota, Sandbox
from voucherify_async.sandbox._endpoints import routes
from voucherify_async.sandbox._http.faults import Faults
from voucherify_async.sandbox._http.rate_limits import RateCounters
from voucherify_async.sandbox._http.routing import ApiCall
from voucherify_async.sandbox._status.page import PageResponse, error_response, is_sandbox_path, respond

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z
LOCAL = {"Host": "127.0.0.1:8181"}
JSON = LOCAL | {"Content-Type": "application/json"}
HTML = "<p>Hi</p><style>p { color: red }</style><script type=module>let a;\n</script><script>let b</script>"


@pytest.fixture
def sandbox() -> Sandbox:
    made = Sandbox()
    made.store.clock = FakeClock(NOW)
    return made


def ask(
    sandbox: Sandbox,
    path: str = "/-/status",
    method: str = "GET",
    headers: Mapping[str, str] = LOCAL,
    body: bytes = b"",
    **rest: Any,
) -> PageResponse:
    given: Any = {"hosts": {"127.0.0.1"}, "rate_statuses": (), "page": lambda: HTML, **rest}
    return respond(sandbox, method, path, headers, body, **given)


def content(answer: PageResponse) -> Any:
    assert answer.status == 200
    return json.loads(answer.body)


def patch(sandbox: Sandbox, settings: Any) -> PageResponse:
    return ask(sandbox, "/-/settings", "PATCH", JSON, json.dumps(settings).encode())


def exchange(target: str, **details: Any) -> Exchange:
    return Exchange("GET", target, {}, b"", details.pop("status", 200), {}, b"", **details)


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("/", True),
        ("/-/status", True),
        ("/-/settings", True),
        ("/-/", True),
        ("/-", False),
        ("", False),
        ("//", False),
        ("/-x", False),
        ("/v1/customers", False),
        ("/v1/-/status", False),
    ],
)
def test_what_is_about_the_sandbox_itself(path: str, own: bool) -> None:
    assert is_sandbox_path(path) is own


# ---------------------------------------------------------------- who may see it


@pytest.mark.parametrize("path", ["/", "/-/status"])
@pytest.mark.parametrize(
    ("given", "host", "status"),
    [
        ("127.0.0.1", "127.0.0.1", 200),
        ("127.0.0.1:8181", "127.0.0.1", 200),
        ("192.168.7.7:8181", "0.0.0.0", 200),
        ("[::1]:8181", "::1", 200),
        ("[::1]", "127.0.0.1", 200),
        ("localhost", "127.0.0.1", 200),
        ("LocalHost:8181", "127.0.0.1", 200),
        ("sandbox:8181", "sandbox", 200),
        ("Sandbox:8181", "sandbox", 200),
        ("sandbox", "Sandbox", 200),
        ("sandbox:8181", "127.0.0.1", 403),
        ("rebound.example:8181", "127.0.0.1", 403),
        ("localhost.rebound.example", "127.0.0.1", 403),
        ("127.0.0.1.rebound.example", "127.0.0.1", 403),
        ("rebound.example:127.0.0.1", "127.0.0.1", 403),
        ("127.0.0.1@rebound.example", "127.0.0.1", 403),
        ("[rebound.example]:8181", "127.0.0.1", 403),
        ("[::1", "127.0.0.1", 403),
        ("::1", "127.0.0.1", 403),
        ("127.0.0.1 rebound.example", "127.0.0.1", 403),
        ("", "127.0.0.1", 403),
        ("", "", 403),
        (":8181", "", 403),
    ],
)
def test_only_names_that_nobody_else_can_lead_here(
    sandbox: Sandbox, path: str, given: str, host: str, status: int
) -> None:
    assert ask(sandbox, path, headers={"Host": given}, hosts={host.lower()}).status == status


def test_a_request_without_a_host_is_refused(sandbox: Sandbox) -> None:
    assert ask(sandbox, headers={}).status == 403


REFUSED: list[Any] = [
    ("GET", "/-/", {}, 404, "There is no such page"),
    ("GET", "/-/statuses", {}, 404, "There is no such page"),
    ("PATCH", "/-/reports", {}, 404, "There is no such page"),
    ("POST", "/", {}, 405, "Allowed: GET"),
    ("HEAD", "/", {}, 405, "Allowed: GET"),
    ("PATCH", "/-/status", {}, 405, "Allowed: GET"),
    ("GET", "/-/settings", {}, 405, "Allowed: PATCH"),
    ("OPTIONS", "/-/settings", {}, 405, "Allowed: PATCH"),
    ("PATCH", "/-/settings", {}, 415, "The body must be application/json"),
    ("PATCH", "/-/settings", {"Content-Type": "text/plain"}, 415, "The body must be application/json"),
    ("PATCH", "/-/settings", {"Content-Type": "application/json-seq"}, 415, "must be application/json"),
    (
        "PATCH",
        "/-/settings",
        JSON | {"Sec-Fetch-Site": "cross-site"},
        403,
        "only from this sandbox's own page",
    ),
    (
        "PATCH",
        "/-/settings",
        JSON | {"Sec-Fetch-Site": "same-site"},
        403,
        "only from this sandbox's own page",
    ),
    ("PATCH", "/-/settings", JSON | {"Host": "rebound.example"}, 403, "localhost"),
]


@pytest.mark.parametrize(("method", "path", "headers", "status", "message"), REFUSED)
def test_refusals(
    sandbox: Sandbox, method: str, path: str, headers: dict[str, str], status: int, message: str
) -> None:
    answer = ask(sandbox, path, method, LOCAL | headers, b'{"latency": 1}')
    assert answer.status == status
    assert message in json.loads(answer.body)["message"]
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers.get("Allow") == (message.removeprefix("Allowed: ") if status == 405 else None)
    assert sandbox.latency == 0


@pytest.mark.parametrize(
    "headers",
    [
        JSON | {"Sec-Fetch-Site": "same-origin"},
        JSON | {"Sec-Fetch-Site": "none"},
        JSON,
        LOCAL | {"Content-Type": "Application/JSON; charset=utf-8"},
    ],
)
def test_the_page_itself_and_programs_change_settings(sandbox: Sandbox, headers: dict[str, str]) -> None:
    assert content(ask(sandbox, "/-/settings", "PATCH", headers, b'{"latency": 1}'))["latency"] == 1
    assert sandbox.latency == 1


def test_the_page_runs_nothing_but_its_own() -> None:
    answer = ask(Sandbox(), "/")
    assert (answer.status, answer.body.decode()) == (200, HTML)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    rules = dict(rule.split(" ", 1) for rule in answer.headers["Content-Security-Policy"].split("; "))
    assert rules["default-src"] == rules["frame-ancestors"] == rules["form-action"] == "'none'"
    assert rules["connect-src"] == "'self'"
    assert rules["style-src"] == digest("p { color: red }")
    assert rules["script-src"] == " ".join(map(digest, ("let a;\n", "let b")))


def test_the_page_of_the_package_asks_nobody_else() -> None:
    html = resources.files("voucherify_async.sandbox._status").joinpath("page.html").read_text("utf-8")
    assert html.startswith("<!doctype html>")
    assert "innerHTML" not in html
    assert "https://" not in html
    assert "http://" not in html.replace("http://www.w3.org/2000/svg", "")
    assert html.count("<script") == html.count("<style") == 1


# ---------------------------------------------------------------- what is shown


def test_what_an_idle_sandbox_shows(sandbox: Sandbox) -> None:
    assert content(ask(sandbox)) == {
        "now": NOW,
        "app_id": sandbox.app_id,
        "app_token": sandbox.app_token,
        "counts": {
            "customers": 0,
            "segments": len(sandbox.store.segments),
            "jobs": 0,
            "tokens": 0,
            "requests": 0,
        },
        "requests": [],
        "jobs": [],
        "meters": [],
        "settings": {
            "latency": 0,
            "faults": {"reset": 0, "truncate": 0, "status": {}, "stall": 0, "stale_keepalive": 0},
            "rate_limit": None,
        },
    }


def test_counts(sandbox: Sandbox) -> None:
    sandbox.store.burst(3)
    sandbox.store.issue_token("api")
    sandbox.store.issue_token("api")
    sandbox.store.clock = FakeClock(NOW + 10_000)  # both have run out
    sandbox.store.issue_token("api")
    sandbox.requests.seen = 12_345
    counts = content(ask(sandbox))["counts"]
    assert (counts["customers"], counts["tokens"], counts["requests"]) == (3, 1, 12_345)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/v1/customers", "/v1/customers", ""),
        ("/v1/customers?city=S%C3%A3o+Paulo&a=%26", "/v1/customers", "city=São Paulo&a=&"),
        (
            "/v1/customers/%3Cimg%20src=x%20onerror=alert(1)%3E",
            "/v1/customers/<img src=x onerror=alert(1)>",
            "",
        ),
        ("/v1/customers/a+b%2Fc", "/v1/customers/a+b/c", ""),
        ("/v1/%FF\udcff", "/v1/\ufffd?", ""),
        ("/" + 499 * "a", "/" + 499 * "a", ""),
        ("/" + 500 * "a", "/" + 498 * "a" + "…", ""),
        ("/a?" + 70_000 * "é", "/a", 499 * "é" + "…"),
    ],
)
def test_a_request_is_shown_decoded_and_cut(sandbox: Sandbox, target: str, path: str, query: str) -> None:
    sandbox.requests.append(
        exchange(target, at=NOW, elapsed=0.012_345_6, status=503, fault="status"),
    )
    sandbox.requests.seen = 7
    assert content(ask(sandbox))["requests"] == [
        {
            "number": 7,
            "at": NOW,
            "method": "GET",
            "path": path,
            "query": query,
            "status": 503,
            "fault": "status",
            "ms": 12.346,
        }
    ]


def test_the_last_hundred_requests_the_newest_first(sandbox: Sandbox) -> None:
    for number in range(1, 151):
        sandbox.requests.keep(exchange(f"/{number}"))
    shown = content(ask(sandbox))["requests"]
    assert [request["number"] for request in shown] == list(range(150, 50, -1))
    assert [request["path"] for request in shown] == [f"/{number}" for number in range(150, 50, -1)]


def test_meters_are_read_and_not_moved(sandbox: Sandbox) -> None:
    sandbox.rate_limit = Quota(2)
    meters = RateCounters(Quota(2))
    for _ in range(3):
        meters.count("POST", ("v1", "customers", "bulk", "async"), NOW)
    for _ in range(2):
        assert content(ask(sandbox, rate_statuses=meters.read(NOW + 5)))["meters"] == [
            {"kind": "api_calls", "limit": 2, "remaining": 2, "retry_at": NOW + 5},
            {"kind": "bulk_api_calls", "limit": 2, "remaining": 0, "retry_at": NOW + 60},
        ]
    sandbox.rate_limit = None
    assert content(ask(sandbox, rate_statuses=meters.read(NOW + 5)))["meters"] == []


def schedule(sandbox: Sandbox, *customers: dict[str, Any]) -> Any:
    call = ApiCall(
        method="POST",
        segments=("v1", "customers", "bulk", "async"),
        query=(),
        content_type="application/json",
        body=json.dumps(customers).encode(),
        request_id="v-1",
    )
    return routes.dispatch(sandbox.store, call)[1]["async_action_id"]


def test_jobs_get_on_while_somebody_looks(sandbox: Sandbox) -> None:
    store = sandbox.store
    store.job_seconds, store.job_seconds_per_item = 10, 0
    first = schedule(sandbox, {"source_id": "a"}, {"source_id": "b", "email": 7})
    second = schedule(sandbox, {"source_id": "c"})
    job = {"type": "CUSTOMERS.BULK_UPDATE", "done": None, "failed": None}
    queued = job | {"id": second, "status": "ENQUEUED", "progress": 0, "items": 1}
    shown = job | {"id": first, "status": "IN_PROGRESS", "progress": 25, "items": 2}

    def look(seconds: float) -> Any:
        store.clock = FakeClock(NOW + seconds)
        return content(ask(sandbox))["jobs"]

    assert look(2.5) == [queued, shown]
    shown |= {"status": "DONE", "progress": 100, "done": 1, "failed": 1}
    assert look(10) == [queued | {"status": "IN_PROGRESS"}, shown]
    queued |= {"status": "DONE", "progress": 100, "done": 1, "failed": 0}
    assert look(20) == [queued, shown]


def test_the_last_fifty_jobs(sandbox: Sandbox) -> None:
    ids = [schedule(sandbox, {"source_id": "a"}) for _ in range(60)]
    shown = content(ask(sandbox))
    assert shown["counts"]["jobs"] == 60
    assert [job["id"] for job in shown["jobs"]] == ids[:9:-1]


# ---------------------------------------------------------------- what may be changed


FAULTS = Faults(reset=0.25, status={503: 0.5})


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ({"latency": 0.25}, "latency", 0.25),
        ({"latency": [0.25, 1]}, "latency", (0.25, 1)),
        ({"latency": 0}, "latency", 0),
        ({"rate_limit": 7}, "rate_limit", Quota(7)),
        ({"rate_limit": {"limit": 7}}, "rate_limit", Quota(7)),
        (
            {"rate_limit": {"limit": 7, "period": 3600, "fixed": True}},
            "rate_limit",
            Quota(7, 3600, fixed=True),
        ),
        ({"rate_limit": None}, "rate_limit", None),
        ({"faults": {"stall": 0.125}}, "faults", Faults(reset=0.25, stall=0.125, status={503: 0.5})),
        ({"faults": {"status": {"500": 0.5}}}, "faults", Faults(reset=0.25, status={500: 0.5})),
        ({"faults": {"status": {}, "reset": 1}}, "faults", Faults(reset=1)),
        ({"faults": {}}, "faults", FAULTS),
        ({"faults": None}, "faults", Faults()),
    ],
)
def test_changes(sandbox: Sandbox, given: Any, name: str, value: Any) -> None:
    sandbox.latency, sandbox.faults, sandbox.rate_limit = 3.0, FAULTS, Quota(9, 9)
    before = content(ask(sandbox))["settings"]
    after = content(patch(sandbox, given))
    assert getattr(sandbox, name) == value
    assert after == content(ask(sandbox))["settings"]
    assert {**after, name: None} == {**before, name: None}


BAD: list[Any] = [
    ([], "the body must be an object"),
    ({"colour": "red"}, "the body has no field 'colour'"),
    ({"latency": -1}, "latency"),
    ({"latency": None}, "latency"),
    ({"latency": "1"}, "latency"),
    ({"latency": True}, "latency"),
    ({"latency": [1]}, "latency"),
    ({"latency": [2, 1]}, "latency"),
    ({"latency": [0, None]}, "latency"),
    ({"latency": {}}, "latency"),
    ({"rate_limit": 0}, "limit"),
    ({"rate_limit": 1.5}, "limit"),
    ({"rate_limit": False}, "limit"),
    ({"rate_limit": []}, "limit"),
    ({"rate_limit": {}}, "rate_limit must have a limit"),
    ({"rate_limit": {"limit": 1, "period": 0}}, "period"),
    ({"rate_limit": {"limit": 1, "period": None}}, "period"),
    ({"rate_limit": {"limit": 1, "fixed": 1}}, "fixed"),
    ({"rate_limit": {"limit": 1, "kind": 1}}, "rate_limit has no field 'kind'"),
    ({"faults": []}, "faults must be an object"),
    ({"faults": {"fire": 1}}, "faults has no field 'fire'"),
    ({"faults": {"reset": 1.5}}, "reset"),
    ({"faults": {"reset": None}}, "reset"),
    ({"faults": {"stall": "1"}}, "stall"),
    ({"faults": {"reset": 0.6, "stall": 0.6}}, "add up to at most 1"),
    ({"faults": {"status": 503}}, "status must be an object"),
    ({"faults": {"status": {"oops": 0.5}}}, "status must have HTTP statuses as keys, not 'oops'"),
    ({"faults": {"status": {"": 0.5}}}, "status"),
    ({"faults": {"status": {"200": 0.5}}}, "status"),
    ({"faults": {"status": {"503": 2}}}, "status"),
    ({"faults": {"status": {"٥٠٣": 0.5}}}, "status"),
    ({"latency": 1, "rate_limit": 5, "faults": {"reset": -1}}, "reset"),
]


@pytest.mark.parametrize(("given", "message"), BAD, ids=map(str, range(len(BAD))))
def test_a_bad_setting_changes_nothing(sandbox: Sandbox, given: Any, message: str) -> None:
    before = content(ask(sandbox))
    answer = patch(sandbox, given)
    assert answer.status == 400
    assert message in json.loads(answer.body)["message"]
    assert content(ask(sandbox)) == before


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"latency": NaN}'])
def test_a_body_that_is_no_json(sandbox: Sandbox, body: bytes) -> None:
    answer = ask(sandbox, "/-/settings", "PATCH", JSON, body)
    assert answer.status == 400
    assert json.loads(answer.body)["message"].startswith("The body is not JSON")


def test_error_response() -> None:
    answer = error_response(413, "Too large")
    assert (answer.status, json.loads(answer.body)) == (413, {"message": "Too large"})


def test_text_that_is_no_utf_8(sandbox: Sandbox) -> None:
    answer = ask(sandbox, "/-/settings", "PATCH", JSON, b'{"latency": "\xff"}')
    assert answer.status == 400
    assert json.loads(answer.body)["message"].startswith("The body is not JSON: ")


def test_a_token_that_has_just_run_out_is_none(sandbox: Sandbox) -> None:
    token = sandbox.store.issue_token("api")
    sandbox.store.clock = FakeClock(token.expires - 1)
    assert content(ask(sandbox))["counts"]["tokens"] == 1
    sandbox.store.clock = FakeClock(token.expires)
    assert content(ask(sandbox))["counts"]["tokens"] == 0
