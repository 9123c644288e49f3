from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from html.parser import HTMLParser
from importlib import resources
from typing import Any

import pytest
from multidict import CIMultiDict

from tests.support.clocks import FakeClock
from voucherify_async.sandbox import Exchange, Quota, Sandbox, WebhookDelivery
from voucherify_async.sandbox._endpoints import routes
from voucherify_async.sandbox._http.faults import Faults
from voucherify_async.sandbox._http.rate_limits import RateCounters
from voucherify_async.sandbox._http.routing import ApiCall
from voucherify_async.sandbox._status.page import PageResponse, error_response, is_sandbox_path, respond

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z
LOCAL = {"Host": "127.0.0.1:8181"}
JSON = LOCAL | {"Content-Type": "application/json"}
TEMPLATE = resources.files("voucherify_async.sandbox._status").joinpath("page.html").read_text("utf-8")
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
    path, _, query = path.partition("?")
    given: Any = {"query": query, "hosts": {"127.0.0.1"}, "rate_statuses": (), "page": lambda: HTML, **rest}
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
    ("POST", "/", {}, 405, "Allowed: GET, HEAD"),
    ("HEAD", "/", {"Host": "rebound.example"}, 403, "localhost"),
    ("HEAD", "/-/settings", {}, 405, "Allowed: PATCH"),
    ("PATCH", "/-/status", {}, 405, "Allowed: GET, HEAD"),
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
    ("GET", "/-/failures", {}, 405, "Allowed: POST, DELETE"),
    ("POST", "/-/webhooks", {}, 405, "Allowed: GET, HEAD"),
    ("GET", "/-/webhooks", {"Host": "rebound.example"}, 403, "localhost"),
    ("GET", "/-/reset", {}, 405, "Allowed: POST"),
    ("POST", "/-/reset", {}, 415, "The body must be application/json"),
    ("POST", "/-/reset", {"Content-Type": "text/plain"}, 415, "The body must be application/json"),
    ("POST", "/-/reset", JSON | {"Sec-Fetch-Site": "cross-site"}, 403, "only from this sandbox's own page"),
    ("POST", "/-/reset", JSON | {"Host": "rebound.example"}, 403, "localhost"),
    ("POST", "/-/failures", {}, 415, "The body must be application/json"),
    (
        "POST",
        "/-/failures",
        JSON | {"Sec-Fetch-Site": "cross-site"},
        403,
        "only from this sandbox's own page",
    ),
    ("DELETE", "/-/failures", {"Sec-Fetch-Site": "cross-site"}, 403, "only from this sandbox's own page"),
    ("DELETE", "/-/failures", {"Host": "rebound.example"}, 403, "localhost"),
    ("PUT", "/-/requests/1", {}, 405, "Allowed: GET, HEAD"),
    ("HEAD", "/-/requests/1", {}, 404, "The sandbox does not keep this request any more"),
    ("GET", "/-/requests/1", {"Host": "rebound.example"}, 403, "localhost"),
    ("GET", "/-/requests/1", {}, 404, "The sandbox does not keep this request any more"),
    ("GET", "/-/requests/", {}, 404, "There is no such page"),
    ("GET", "/-/requests/x", {}, 404, "There is no such page"),
    ("GET", "/-/requests/1234567890123456", {}, 404, "There is no such page"),
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
    html = TEMPLATE
    assert html.startswith("<!doctype html>")
    assert "innerHTML" not in html
    assert "https://" not in html
    assert "http://" not in html.replace("http://www.w3.org/2000/svg", "")
    assert html.count("<script") == html.count("<style") == 1


class Elements(HTMLParser):
    """The attributes of the elements of a page, by tag name."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: dict[str, list[dict[str, str | None]]] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.setdefault(tag, []).append(dict(attrs))

    def named(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for attributes in self.found["input"] if attributes.get("name") == name]


def first_frame(sandbox: Sandbox) -> Elements:
    answer = ask(sandbox, "/", page=lambda: TEMPLATE)
    assert answer.status == 200
    assert b"{{" not in answer.body
    return Elements(answer.body.decode())


@pytest.mark.parametrize(
    ("latency", "mode", "low", "high"),
    [
        (0, "off", "200", "800"),
        (0.0003, "fixed", "0.3", "800"),
        ((0.07, 1.5), "range", "70", "1500"),
        ((0, 0.5), "range", "0", "500"),
    ],
)
def test_the_first_frame_shows_the_latency(
    sandbox: Sandbox, latency: Any, mode: str, low: str, high: str
) -> None:
    sandbox.latency = latency
    page = first_frame(sandbox)
    assert [each["value"] for each in page.named("mode") if "checked" in each] == [mode]
    assert page.named("low")[0]["value"] == low
    assert page.named("high")[0]["value"] == high
    (high_input,) = (each for each in page.found["span"] if "data-range" in each)
    assert ("hidden" in high_input) is (mode != "range")
    row = next(each for each in page.found["div"] if "data-inputs" in each)
    assert ("hidden" in row) is (mode == "off")


@pytest.mark.parametrize("quota", [None, Quota(7), Quota(50, 0.5, fixed=True)])
def test_the_first_frame_shows_the_rate_limit(sandbox: Sandbox, quota: Quota | None) -> None:
    sandbox.rate_limit = quota
    page = first_frame(sandbox)
    shown = quota or Quota(100)
    switch = next(
        each for each in page.found["input"] if each.get("role") == "switch" and each["name"] == "on"
    )
    assert ("checked" in switch) is (quota is not None)
    assert page.named("limit")[0]["value"] == str(shown.limit)
    assert page.named("period")[0]["value"] == f"{shown.period:g}"
    (fixed,) = (each for each in page.found["option"] if each["value"] == "fixed")
    assert ("selected" in fixed) is shown.fixed
    hidden = [
        "hidden" in each for tag in ("div", "label") for each in page.found[tag] if "data-inputs" in each
    ]
    assert hidden == [True, quota is None, quota is None, True, True, True, True]


def test_the_first_frame_shows_the_faults(sandbox: Sandbox) -> None:
    sandbox.faults = Faults(stall=0.07, stale_keepalive=0.000001, status={429: 0.25, 503: 0.5})
    page = first_frame(sandbox)
    forms = [each["data-fault"] for each in page.found["form"] if "data-fault" in each]
    assert forms == ["reset", "truncate", "stall", "stale_keepalive"]
    switches = ["checked" in each for each in page.named("on")[1:]]
    assert switches == [False, False, True, True]
    assert [each["value"] for each in page.named("chance")] == ["5", "5", "7", "0.0001", "25", "50", "5"]
    assert [each["value"] for each in page.named("code")] == ["429", "503", ""]  # the last is for new ones
    rows = [each for each in page.found["div"] if each.get("class") == "status"]
    assert [each["data-key"] for each in rows] == ["429", "503", ""]


def test_the_first_frame_shows_what_there_is(sandbox: Sandbox) -> None:
    def hidden(page: Elements) -> list[str | None]:
        return [
            each["id"]
            for tag in ("p", "div")
            for each in page.found[tag]
            if "hidden" in each and "id" in each
        ]

    assert hidden(first_frame(sandbox)) == ["offline", "requests-scroll", "jobs-scroll"]
    schedule(sandbox, {"source_id": "a"})
    sandbox.requests.keep(exchange("/v1/customers"))
    sandbox.store.burst(1_234)
    assert hidden(first_frame(sandbox)) == ["no-requests", "no-jobs", "offline"]
    assert b'data-count="customers">1,234<' in ask(sandbox, "/", page=lambda: TEMPLATE).body


# ---------------------------------------------------------------- details of a request


def details(sandbox: Sandbox, given: Exchange) -> Any:
    sandbox.requests.keep(given)
    return content(ask(sandbox, f"/-/requests/{sandbox.requests.seen}"))


def test_the_details_of_a_request(sandbox: Sandbox) -> None:
    given = Exchange(
        method="PUT",
        target="/v1/customers/a?x=\udcff",
        request_headers=CIMultiDict(
            {"X-App-Id": "id", "X-App-Token": "secret", "Accept": "\udcff" + 2000 * "x"}
        ),
        request_body=b'{"b":[1,2.50],"a":"\xc3\xa9","token":"shown"}',
        status=409,
        response_headers=CIMultiDict({"Content-Type": "application/json"}),
        response_body=b"",
    )
    assert details(sandbox, given) == {
        "method": "PUT",
        "target": "/v1/customers/a?x=?",
        "status": 409,
        "request": {
            "headers": [["X-App-Id", "id"], ["X-App-Token", "(hidden)"], ["Accept", "?" + 998 * "x" + "…"]],
            "body": '{\n  "b": [\n    1,\n    2.50\n  ],\n  "a": "é",\n  "token": "shown"\n}',
            "size": 39,
            "truncated": False,
        },
        "response": {
            "headers": [["Content-Type", "application/json"]],
            "body": "",
            "size": 0,
            "truncated": False,
        },
    }


@pytest.mark.parametrize(
    "name",
    ["X-App-Token", "x-app-token", "Authorization", "X-Voucherify-OAuth", "Proxy-Authorization", "Cookie", "Set-Cookie"],
)  # fmt: skip
def test_credentials_in_headers_are_hidden(sandbox: Sandbox, name: str) -> None:
    given = Exchange("GET", "/v1/customers", {name: "Bearer secret"}, b"", 200, {name: "secret"}, b"")
    shown = details(sandbox, given)
    assert shown["request"]["headers"] == shown["response"]["headers"] == [[name, "(hidden)"]]


@pytest.mark.parametrize(
    ("target", "body", "shown"),
    [
        ("/v1/oauth/token", b"grant_type=client_credentials&scope=api", "grant_type=client_credentials&scope=api"),
        ("/v1/oauth/introspect", b"access_token=secret", "access_token=(hidden)"),
        ("/v1/%6FAuth/introspect", b"access_token=secret&a=%20b", "access_token=(hidden)&a= b"),
        ("/v1/oauth/token", b"Client_Secret=secret", "Client_Secret=(hidden)"),
        (
            "/v1/oauth/token",
            b'{"access_token":"secret","token_type":"Bearer","nested":[{"refresh_token":["secret"]},1]}',
            json.dumps(
                {"access_token": "(hidden)", "token_type": "Bearer", "nested": [{"refresh_token": "(hidden)"}, 1]},
                indent=2,
            ),
        ),
        ("/v1/oauth/token", b'{"access_token":"secr', None),
        ("/v1/oauth/token", b'[{"access_token":"secret"}', None),
        ("/v1/oauth/token", b"access_token=se=cret", None),
        ("/v1/oauth/token", b"access_token%5B=secret", None),
        ("/v1/oauth/token", b"secret", None),
        ("/v1/oauth/token", b"access_token=\xff", None),
        ("/v1/oauth/token", b"[" * 200 + b"]" * 200, None),
        ("/v1/oauth/token", b'"text"', '"text"'),
        ("/v1/oauth/token", b"", ""),
        ("/v1/customers", b"access_token=a", "access_token=a"),
    ],
)  # fmt: skip
def test_tokens_in_bodies_of_oauth_are_hidden(
    sandbox: Sandbox, target: str, body: bytes, shown: str | None
) -> None:
    given = details(sandbox, Exchange("POST", target, {}, body, 200, {}, body))
    assert given["request"] == given["response"]
    assert given["request"]["body"] == shown
    assert given["request"]["size"] == len(body)


@pytest.mark.parametrize(
    ("body", "shown", "truncated"),
    [
        (b"a;b\r\n\xff", "a;b\r\n\ufffd", False),
        (b"1", "1", False),
        (b"[" * 100 + b"]" * 100, None, False),
        (b"[" * 101 + b"]" * 101, "[" * 101 + "]" * 101, False),
        (b"[" * 5_000 + b"]" * 5_000, "[" * 5_000 + "]" * 5_000, False),
        (b"x" * 20_000, "x" * 20_000, False),
        (b"x" * 20_001, "x" * 20_000, True),
        (b'["' + b"x" * 20_000 + b'"]', '[\n  "' + "x" * 19_995, True),
        (b'["' + b"x" * 300_000 + b'"]', '["' + "x" * 19_998, True),
        ("é".encode() * 20_001, "é" * 20_000, True),
        ("💳".encode() * 20_001, "💳" * 20_000, True),
    ],
    ids=range(11),
)
def test_bodies(sandbox: Sandbox, body: bytes, shown: str | None, truncated: bool) -> None:
    given = details(sandbox, Exchange("POST", "/v1/customers", {}, body, 200, {}, b""))["request"]
    assert (given["size"], given["truncated"]) == (len(body), truncated)
    if shown is None:  # indented
        assert given["body"].count("\n") == 198
    else:
        assert given["body"] == shown


def test_which_requests_have_details(sandbox: Sandbox) -> None:
    for number in range(1, 4):
        sandbox.requests.keep(exchange(f"/{number}"))
    sandbox.requests.popleft()
    targets = [json.loads(ask(sandbox, f"/-/requests/{number}").body).get("target") for number in range(6)]
    assert targets == [None, None, "/2", "/3", None, None]


# ---------------------------------------------------------------- filters


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", [6, 5, 4, 3, 2, 1]),
        ("errors=1", [6, 5, 3, 2]),
        ("errors=0", [6, 5, 4, 3, 2, 1]),
        ("path=CUSTOMERS", [6, 4, 2, 1]),
        ("path=s%C3%A3o+paulo", [4]),
        ("path=customers%3Fcity", [4]),
        ("path=%3Cnothing%3E", []),
        ("errors=1&path=customers", [6, 2]),
        ("path=", [6, 5, 4, 3, 2, 1]),
        ("what=ever&path=%FF", []),
    ],
)
def test_filters(sandbox: Sandbox, query: str, numbers: list[int]) -> None:
    for given in (
        exchange("/v1/customers"),
        exchange("/v1/customers/a", status=404),
        exchange("/v1/vouchers", status=500),
        exchange("/v1/Customers?city=S%C3%A3o+Paulo", fault="stale_keepalive"),
        exchange("/v1/vouchers", fault="truncate"),
        exchange("/v1/customers", status=0),
    ):
        sandbox.requests.keep(given)
    shown = content(ask(sandbox, f"/-/status?{query}"))
    assert [request["number"] for request in shown["requests"]] == numbers
    assert shown["counts"]["requests"] == 6


def test_a_filter_looks_behind_the_last_hundred(sandbox: Sandbox) -> None:
    for number in range(300):
        sandbox.requests.keep(exchange(f"/{number}", status=500 if number % 3 == 0 else 200))
    shown = content(ask(sandbox, "/-/status?errors=1"))["requests"]
    assert len(shown) == 100
    assert shown[-1]["path"] == "/0"


# ---------------------------------------------------------------- planned failures


def test_failures_are_planned_and_dropped(sandbox: Sandbox) -> None:
    plan = [
        {"operation": "customers.update"},
        {"operation": ["PUT", "/v1/customers/*"], "status": 409, "times": 2, "key": "k", "retry_after": 1.5},
    ]
    for body in plan:
        answer = ask(sandbox, "/-/failures", "POST", JSON, json.dumps(body).encode())
        assert content(answer) == content(ask(sandbox))["settings"]
    assert content(ask(sandbox))["settings"]["failures"] == [
        {"operation": "customers.update", "status": 503, "fault": "status", "times": 1},
        {"operation": ["PUT", "/v1/customers/*"], "status": 409, "fault": "status", "times": 2},
    ]
    assert (sandbox.planned_failures[1].key, sandbox.planned_failures[1].retry_after) == ("k", 2)
    assert content(ask(sandbox, "/-/failures", "DELETE"))["failures"] == []
    assert sandbox.planned_failures == ()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "The body is not JSON: "),
        (b"[]", "the body must be an object, not []"),
        (b"{}", "the body must have an operation"),
        (b'{"operation": "customers.get", "code": 1}', "the body has no field 'code'"),
        (b'{"operation": "customers.fetch"}', "operation must be one of "),
        (b'{"operation": "customers.get", "status": 200}', "status must be a whole number from 400 to 599"),
    ],
)
def test_a_bad_failure_is_explained(sandbox: Sandbox, body: bytes, message: str) -> None:
    answer = ask(sandbox, "/-/failures", "POST", JSON, body)
    assert answer.status == 400
    assert json.loads(answer.body)["message"].startswith(message)
    assert sandbox.planned_failures == ()


# ---------------------------------------------------------------- webhooks


def test_there_are_no_webhooks_without_a_receiver(sandbox: Sandbox) -> None:
    assert content(ask(sandbox, "/-/webhooks")) == {"pending": 0, "deliveries": []}


def test_the_deliveries_of_webhooks(sandbox: Sandbox) -> None:
    sandbox.webhook_deliveries.extend(
        [
            WebhookDelivery("whs_1", "customer.created", "ev_1", "delivered", 2, 204),
            WebhookDelivery(
                "whs_2", "customer.updated", "ev_2", "pending", 1, 500, "the receiver responded with 500"
            ),
            *[WebhookDelivery(f"whs_{number}", "customer.deleted", "ev_3") for number in range(3, 102)],
        ]
    )
    shown = content(ask(sandbox, "/-/webhooks"))
    assert shown["pending"] == 100
    assert [delivery["id"] for delivery in shown["deliveries"]] == [
        f"whs_{number}" for number in range(101, 1, -1)
    ]
    assert shown["deliveries"][-1] == {
        "id": "whs_2",
        "event_type": "customer.updated",
        "event_id": "ev_2",
        "state": "pending",
        "attempts": 1,
        "status": 500,
        "error": "the receiver responded with 500",
    }


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
            "failures": [],
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
    job = {"type": "CUSTOMERS.BULK_UPDATE", "created_at": NOW, "done": None, "failed": 0}
    queued = job | {"id": second, "status": "ENQUEUED", "progress": 0, "items": 1, "began_at": None}
    shown = job | {"id": first, "status": "IN_PROGRESS", "progress": 25, "items": 2, "began_at": NOW}

    def look(seconds: float) -> Any:
        store.clock = FakeClock(NOW + seconds)
        return content(ask(sandbox))["jobs"]

    assert look(2.5) == [queued, shown]
    shown |= {"status": "DONE", "progress": 100, "done": 1, "failed": 1}
    queued["began_at"] = NOW + 10
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
