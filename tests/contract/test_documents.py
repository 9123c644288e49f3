"""The overlaid documents are sound, and the contract tells good exchanges from bad ones."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator

from .documents import VARIABLE, Contract, directory, load, read
from .overlay import CUSTOMERS, DOCUMENTS, operations, overlaid

DIRECTORY = directory()

pytestmark = pytest.mark.skipif(DIRECTORY is None, reason=f"{VARIABLE} is not set")

KEYS = {"X-App-Id": "id", "X-App-Token": "token"}
JSON = {"Content-Type": "application/json; charset=utf-8"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MULTIPART = {"Content-Type": "multipart/form-data; boundary=Line"}

CSV = (
    b'--Line\r\nContent-Disposition: form-data; name="file"; filename="customers.csv"\r\n'
    b"Content-Type: text/csv\r\n\r\nName,Source_id\r\n\xc5\xbbaneta,a\r\n--Line--\r\n"
)


@dataclass(frozen=True)
class Call:
    """One exchange, written by hand."""

    method: str = "GET"
    target: str = "/v1/customers"
    request_headers: dict[str, str] = field(default_factory=lambda: dict(KEYS))
    request_body: bytes = b""
    status: int = 200
    response_headers: dict[str, str] = field(default_factory=lambda: dict(JSON))
    response_body: bytes = b""

    def sending(self, body: Any) -> "Call":
        return replace(self, request_headers=KEYS | JSON, request_body=json.dumps(body).encode())

    def sending_form(self, **fields: str) -> "Call":
        return replace(self, request_headers=KEYS | FORM, request_body=urlencode(fields).encode())

    def answered(self, body: Any, status: int = 200) -> "Call":
        return replace(self, response_body=json.dumps(body).encode(), status=status)


def customer(**changes: Any) -> dict[str, Any]:
    redemptions = dict.fromkeys(
        (
            "total_redeemed",
            "total_failed",
            "total_succeeded",
            "total_rolled_back",
            "total_rollback_failed",
            "total_rollback_succeeded",
        ),
        0,
    )
    orders = dict.fromkeys(("total_amount", "total_count", "average_amount", "last_order_amount"), 0)
    complete: dict[str, Any] = {
        "id": "cust_1",
        "source_id": "a/b",
        "name": None,
        "address": None,
        "created_at": "2022-08-30T06:32:07.380Z",
        "updated_at": None,
        "summary": {
            "redemptions": {
                **redemptions,
                "gift": {"redeemed_amount": 0, "amount_to_go": 0},
                "loyalty_card": {"redeemed_points": 0, "points_to_go": 0},
            },
            "orders": orders,
        },
        "loyalty": {"points": 0, "referred_customers": 0, "campaigns": {}},
        "referrals": {"total": 0, "campaigns": []},
        "object": "customer",
    }
    return complete | changes


def customers(*found: Any) -> dict[str, Any]:
    return {"object": "list", "data_ref": "customers", "customers": list(found), "total": len(found)}


def activity(kind: str, data: Any) -> dict[str, Any]:
    event = {"id": "evcus_1", "type": kind, "data": {"data": data}, "created_at": "2022-08-30T06:32:07.380Z"}
    return {"object": "list", "data_ref": "data", "data": [event], "has_more": False}


def without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != name}


ERROR = {"code": 404, "message": "Resource not found", "resource_id": None}
ACCEPTED = {"async_action_id": "aa_1"}
TOKEN = {
    "access_token": "secret",
    "client_id": "id",
    "expires_at": 1738945086,
    "expires_in": 900,
    "scope": "api",
    "token_type": "Bearer",
}
LIST = Call().answered(customers(customer()))
GET = Call(target="/v1/customers/a%2Fb").answered(customer())
PUT = replace(GET, method="PUT").sending({"name": "x"})
CREATE = Call("POST").answered(customer()).sending({"source_id": "a/b"})
BULK = Call("POST", "/v1/customers/bulk/async").answered(ACCEPTED, 202).sending([{"source_id": "a"}])
UPLOAD = Call("POST", "/v1/customers/importCSV", KEYS | MULTIPART, CSV).answered(ACCEPTED, 202)
OAUTH = Call("POST", "/v1/oauth/token").sending_form(grant_type="client_credentials", scope="api vouchers")
INTROSPECT = Call("POST", "/v1/oauth/introspect").sending_form(access_token="secret")
ACTION = Call(target="/v1/async-actions/aa_1")
IMPORTED = {"id": "aa_1", "type": "CUSTOMERS.IMPORT_CSV", "status": "DONE", "operation_status": None}
ACTIVITY = Call(target="/v1/customers/cust_1/activity")
REDEEMABLES: dict[str, Any] = {
    "object": "list",
    "data_ref": "data",
    "data": [],
    "total": 0,
    "has_more": False,
}

GOOD = {
    "list": LIST,
    "list with a query": replace(
        LIST, target="/v1/customers?limit=100&page=99&created_at%5Bbefore%5D=2022-08-30T06%3A32%3A07.380Z"
    ),
    "one": GET,
    "one without optional properties": GET.answered(without(without(customer(), "source_id"), "address")),
    "token in the documented header": replace(GET, request_headers={"X-Voucherify-OAuth": "Bearer x"}),
    "token in the usual header": replace(GET, request_headers={"authorization": "Bearer x"}),
    "missing": GET.answered(ERROR, 404),
    "wrong keys": replace(GET, request_headers={}).answered({"code": 401, "message": "Unauthorized"}, 401),
    "wrong query, refused": replace(LIST, target="/v1/customers?limit=101").answered(
        ERROR | {"code": 400}, 400
    ),
    "create": CREATE,
    "clear": PUT.sending({"name": None, "address": {"city": None}, "metadata": None}),
    "delete": Call("DELETE", "/v1/customers/cust_1", status=204),
    "bulk": BULK,
    "too large": BULK.answered({"statusCode": 413, "error": "Too Large", "message": "Too large"}, 413),
    "too large, elsewhere": UPLOAD.answered(
        {"statusCode": 413, "error": "Too Large", "message": "Too large"}, 413
    ),
    "too many": BULK.answered({"code": 429, "message": "Too many requests"}, 429),
    "upload": UPLOAD,
    "older activity": replace(ACTIVITY, target="/v1/customers/a/activities").answered(
        without(activity("customer.created", {"customer": customer()}), "has_more") | {"total": 1}
    ),
    "activity": ACTIVITY.answered(activity("customer.updated", {"customer": customer()})),
    "activity of a type without documented data": ACTIVITY.answered(
        activity("customer.voucher.loyalty_card.points_activated", {"voucher": 1})
    ),
    "filters": Call(
        target="/v1/customers/a/redeemables?filters%5Bid%5D%5Bconditions%5D%5B%24in%5D%5B0%5D=rh_1&limit=5"
    ).answered(REDEEMABLES),
    "action, queued": ACTION.answered(IMPORTED | {"status": "ENQUEUED", "result": None}),
    "action, done": ACTION.answered(
        IMPORTED | {"result": {"done_count": 1, "failed_count": 0, "failed": []}}
    ),
    "token": OAUTH.answered(TOKEN),
    "token in force": INTROSPECT.answered(TOKEN | {"active": True}),
    "token no longer in force": INTROSPECT.answered({"active": False}),
    "token not found": Call("POST", "/v1/oauth/token/revoke", status=404).sending_form(access_token="x"),
    "proxy": replace(
        GET, status=502, response_headers={"content-type": "text/html"}, response_body=b"<html>"
    ),
    "undocumented path, refused": replace(GET, target="/v1/nothing").answered(ERROR, 404),
    "undocumented method, refused": replace(GET, method="PATCH").answered(
        {"code": 405, "message": "No"}, 405
    ),
}

BAD = {
    "unknown parameter": (replace(LIST, target="/v1/customers?colour=red"), "'colour' is undocumented"),
    "repeated parameter": (replace(LIST, target="/v1/customers?page=1&page=2"), "'page' is repeated"),
    "limit": (replace(LIST, target="/v1/customers?limit=101"), "limit: 101 is greater"),
    "date": (replace(LIST, target="/v1/customers?created_at[after]=today"), "not a 'date-time'"),
    "filters elsewhere": (replace(LIST, target="/v1/customers?filters[id]=1"), "undocumented"),
    "path": (replace(GET, target="/v1/nothing"), "the operation is undocumented"),
    "path without an id": (replace(GET, target="/v1/customers/"), "the operation is undocumented"),
    "id with a bare slash": (replace(GET, target="/v1/customers/a/b"), "the operation is undocumented"),
    "method": (replace(GET, method="PATCH"), "the operation is undocumented"),
    "no keys": (replace(GET, request_headers={"X-App-Id": "id"}), "Security not found"),
    "body of a request without": (GET.sending({}), "the request has a body"),
    "no body": (replace(CREATE, request_body=b""), "Missing required request body"),
    "type in a body": (CREATE.sending({"name": 5}), "['name'] 5 is not of type 'string'"),
    "type in an address": (PUT.sending({"address": {"city": 1}}), "['address']['city'] 1 is not"),
    "body that is a form": (replace(CREATE, request_headers=KEYS | FORM), "mimetype not found"),
    "item without source_id": (
        BULK.sending([{"source_id": "a"}, {"name": "x"}]),
        "[1] 'source_id' is a required",
    ),
    "source_id of an item": (BULK.sending([{"source_id": None}]), "None is not of type 'string'"),
    "upload without file": (
        replace(UPLOAD, request_body=CSV.replace(b'"file"', b'"data"')),
        "'file' is a required",
    ),
    "grant type": (
        OAUTH.answered(TOKEN).sending_form(grant_type="password", scope="api"),
        "'password' is not one of",
    ),
    "no scope": (
        OAUTH.answered(TOKEN).sending_form(grant_type="client_credentials"),
        "'scope' is a required",
    ),
    "no total": (LIST.answered(without(customers(), "total")), "'total' is a required property"),
    "null in a list": (LIST.answered(customers(None)), "['customers'][0]"),
    "null instead of an object": (GET.answered(None), "None is not of type 'object'"),
    "null id": (GET.answered(customer(id=None)), "['id'] None"),
    "null object": (GET.answered(customer(object=None)), "['object'] None"),
    "type in an answer": (GET.answered(customer(metadata=[])), "['metadata'] [] is not of type 'object'"),
    "deep in an answer": (
        GET.answered(customer(loyalty={"points": 0})),
        "['loyalty'] 'referred_customers' is a",
    ),
    "enumeration": (ACTION.answered(IMPORTED | {"status": "READY"}), "['status'] 'READY' is not one of"),
    "result of another type": (
        ACTION.answered(IMPORTED | {"result": {"failed_count": "1"}}),
        "['failed_count'] '1'",
    ),
    "unknown type of action": (ACTION.answered(IMPORTED | {"type": "A.B"}), "'A.B'"),
    "event data": (
        ACTIVITY.answered(activity("customer.updated", {"customer": {"name": 1}})),
        "['customer']['name'] 1",
    ),
    "status": (GET.answered(customer(), 201), "the status is undocumented"),
    "status of a refusal": (GET.answered(ERROR, 418), "the status is undocumented"),
    "missing where nothing can be": (LIST.answered(ERROR, 404), "the status is undocumented"),
    "refusal without a message": (GET.answered({"code": 404}, 404), "'message' is a required property"),
    "wrong keys without an error": (GET.answered({}, 401), "'code' is a required property"),
    "undocumented path with another error": (
        replace(GET, target="/v1/x").answered({"detail": "x"}, 404),
        "'code' is",
    ),
    "HTML": (replace(GET, response_headers={"Content-Type": "text/html"}), "mimetype not found: text/html"),
    "HTML that says it is JSON": (replace(GET, response_body=b"<html>"), "Failed to deserialize"),
    "HTML instead of an error": (
        replace(GET, status=500, response_headers={"Content-Type": "text/html"}),
        "mimetype not found: text/html",
    ),
    "no content type": (replace(GET, response_headers={}), "mimetype not found"),
    "no answer": (replace(GET, response_body=b""), "Missing response data"),
    "answer to a deletion": (replace(GET, method="DELETE", status=204), "the answer has a body"),
}


@pytest.fixture(name="contract")
def made_contract() -> Contract:
    assert DIRECTORY is not None
    return load(DIRECTORY)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_overlaid_documents_are_valid(contract: Contract, name: str) -> None:
    assert [str(error) for error in OpenAPIV30SpecValidator(contract.specs[name]).iter_errors()] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_nothing_is_mended_twice(contract: Contract, name: str) -> None:
    with pytest.raises(LookupError):
        overlaid(name, contract.specs[name])


def test_mend_without_a_fault_is_an_error() -> None:
    assert DIRECTORY is not None
    spec = read(DIRECTORY, CUSTOMERS)
    for _, _, operation in operations(spec):
        operation.pop("deprecated", None)
    with pytest.raises(LookupError, match="nothing left to mend: A deprecated operation"):
        overlaid(CUSTOMERS, spec)


def published_examples() -> Iterator[Any]:
    """Yield every published example of an answer, as the answer to the published example of a request."""
    if DIRECTORY is None:
        return
    for name in DOCUMENTS:
        for path, method, operation in operations(read(DIRECTORY, name)):
            call = Call(method.upper(), path.replace("{", "").replace("}", ""))
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                if kind.startswith("multipart"):
                    call = replace(call, request_headers=KEYS | MULTIPART, request_body=CSV)
                else:
                    value = next(iter(content["examples"].values()))["value"]
                    call = call.sending_form(**value) if "form" in kind else call.sending(value)
            for status, response in operation["responses"].items():
                for title, example in (
                    response.get("content", {}).get("application/json", {}).get("examples", {}).items()
                ):
                    yield pytest.param(
                        call.answered(example["value"], int(status)), id=f"{method} {path} {status} {title}"
                    )


@pytest.mark.parametrize("call", list(published_examples()))
def test_published_example_is_valid(contract: Contract, call: Call) -> None:
    assert contract.check(call) == []


@pytest.mark.parametrize("call", [pytest.param(call, id=name) for name, call in GOOD.items()])
def test_good_exchange(contract: Contract, call: Call) -> None:
    assert contract.check(call) == []


@pytest.mark.parametrize(
    ("call", "problem"), [pytest.param(call, problem, id=name) for name, (call, problem) in BAD.items()]
)
def test_bad_exchange(contract: Contract, call: Call, problem: str) -> None:
    found = contract.check(call)
    assert [text for text in found if problem in text], found
    assert contract.check(call) == found
