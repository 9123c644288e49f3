"""Has `schemathesis` make up requests from the published documents, and holds the sandbox to its answers.

::

    VOUCHERIFY_OPENAPI_DIR=… python -m tests.contract.conformance --requests 2000 --seed 1

The requests go over a socket to a real sandbox on loopback. They are spread over all operations; half of them are
as the documents want them, half are not; half are systematic, as long as there are such, the rest are random. The
same seed gives the same requests, as long as neither the documents nor the code have changed.
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import math
import os
import random
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.result import Err
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    positive_data_acceptance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.transport.serialization import Binary

from tests.support.clocks import FakeClock
from voucherify_async.sandbox import Exchange, Sandbox
from voucherify_async.sandbox._store.store import Store

from .documents import VARIABLE, directory, load, read
from .overlay import DOCUMENTS, Json, overlaid

Case = schemathesis.Case[Any]
Response = schemathesis.Response
Operation = schemathesis.APIOperation[Any, Any, Any, Any]

CUSTOMERS: Final = 300
REQUESTS_OF_A_ROUND: Final = 1000
"""In each round all operations have their turn, with what the others left behind in those before."""
FINDINGS_SHOWN: Final = 20

UNHEALTHY: Final = (
    HealthCheck.filter_too_much,  # schemathesis makes something up, and throws away what it has not made wrong
    HealthCheck.too_slow,  # as slow as the schemas are large
    HealthCheck.data_too_large,
    HealthCheck.large_base_example,
)

CHECKS: Final = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
    positive_data_acceptance,
)

CONFIGURATION: Final[Json] = {
    # The keys go with every request; what happens without them, and with others, is up to `ignored_auth`.
    "generation": {"with-security-parameters": False},
    # They are a sandbox's, and who repeats a request needs them.
    "output": {"sanitization": {"enabled": False}},
    "checks": {
        # A path may lead nowhere whatever else is wrong, and as well when nothing is.
        "negative_data_rejection": {"expected-statuses": ["400", "404", "405", "413", "415"]},
        "positive_data_acceptance": {"expected-statuses": ["2xx", "404"]},
    },
}


# ---------------------------------------------------------------- what is not a fault


@dataclass(frozen=True)
class Exemption:
    """What looks like a fault, and is none."""

    failure: str
    """The name of what `schemathesis` raises."""
    operation: str | None
    """Its method and path; `None` means any."""
    why: str
    holds: Callable[[Case, Response], bool]


def _cursor_in_another_order(case: Case, response: Response) -> bool:
    ordered_by = str(case.query.get("order", "created_at")).removeprefix("-")
    return response.status_code == 400 and "starting_after" in case.query and ordered_by != "created_at"


def _outside_the_calendar(case: Case, response: Response) -> bool:
    """Whether an instant in the query is of the year 0 or 10,000 in UTC: nothing nearer than that."""
    return response.status_code == 400 and any(
        re.search(r"0001-01-01T.*\+|9999-12-31T.*-", value) for value in _texts(case.query)
    )


def _texts(part: Any) -> Iterator[str]:
    """Yield all text in a query, which may be nested."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, dict):
        for value in part.values():
            yield from _texts(value)


def _only_items_are_wrong(case: Case, _: Response) -> bool:
    items = case.body if isinstance(case.body, list) else [None]
    source_ids = [item.get("source_id") if isinstance(item, dict) else None for item in items]
    return all(isinstance(source_id, str) and source_id for source_id in source_ids)


def _told(key: str, *details: str) -> Callable[[Case, Response], bool]:
    def holds(_: Case, response: Response) -> bool:
        told = _error(response)
        return told.get("key") == key and (not details or told.get("details") in details)

    return holds


def _error(response: Response) -> Json:
    """The body of an error; nothing when it is no error, or none as it should be."""
    if response.status_code < 400:
        return {}
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


EXEMPTIONS: Final = (
    Exemption(
        "RejectedPositiveData",
        "GET /v1/customers",
        "A cursor that is a creation time has no meaning in another order, which no schema can say.",
        _cursor_in_another_order,
    ),
    Exemption(
        "RejectedPositiveData",
        None,
        "An offset may move an instant out of the years 1 to 9999, where there is no calendar.",
        _outside_the_calendar,
    ),
    Exemption(
        "RejectedPositiveData",
        "POST /v1/customers/importCSV",
        "Any bytes are a file to the documents. Those that are no CSV with a header are refused.",
        _told("invalid_csv"),
    ),
    Exemption(
        "AcceptedNegativeData",
        "POST /v1/customers/bulk/async",
        "What is wrong with an item that has its source id is told by the job, and does not stop the others.",
        _only_items_are_wrong,
    ),
)


# ---------------------------------------------------------------- what exists

Known = Callable[[Store, random.Random, Case], Any]


def _record(store: Store, chance: random.Random) -> Any:
    return chance.choice(list(store.customers.values()))


def _customer(store: Store, chance: random.Random, _: Case) -> str:
    record = _record(store, chance)
    return str(chance.choice([record.id, record.source_id or record.id]))


def _job(store: Store, chance: random.Random, _: Case) -> str:
    return chance.choice(list(store.jobs) or ["aa_0"])


def _cursor(store: Store, chance: random.Random, case: Case) -> str:
    record = store.find(unquote(str(case.path_parameters["customerId"]))) or _record(store, chance)
    return str(chance.choice([part.id for part in (*record.redeemables, *record.activity)] or ["rh_0"]))


def _created(store: Store, chance: random.Random, _: Case) -> str:
    return str(_record(store, chance).created.isoformat())


def _of_a_customer(name: str) -> Known:
    def known(store: Store, chance: random.Random, _: Case) -> str:
        shown = _record(store, chance).to_json()
        return str(shown.get(name) or (shown["address"] or {}).get(name) or "London")

    return known


def _segment(store: Store, chance: random.Random, _: Case) -> str:
    return chance.choice([segment.id for segment in store.segments])


def _token(store: Store, chance: random.Random, _: Case) -> str:
    return store.issue_token("api").value


def _file(store: Store, chance: random.Random, case: Case) -> Binary:
    content = io.StringIO()
    rows = csv.writer(content)
    rows.writerow(["Source_id", "Name", "Address_City", "Birthdate", "tier"])
    for birthdate in chance.choices(["1815-12-10", "", "soon"], k=chance.randrange(5)):
        rows.writerow([_customer(store, chance, case), "Ada", "Łódź", birthdate, "gold"])
    return Binary(content.getvalue().encode())


KNOWN: Final[Mapping[str, Known]] = {
    "customerId": lambda *of: quote(_customer(*of), safe=""),
    "asyncActionId": _job,
    "starting_after_id": _cursor,
    "starting_after": _created,
    "created_at[after]": _created,
    "created_at[before]": _created,
    "start_date": _created,
    "end_date": _created,
    "email": _of_a_customer("email"),
    "name": _of_a_customer("name"),
    "city": _of_a_customer("city"),
    "segment_id": _segment,
    "source_id": _customer,
    "source_ids": lambda *of: [_customer(*of) for _ in range(3)],
    "access_token": _token,
    "file": _file,
}
"""By the names of parameters and properties: what makes a request reach something."""
KNOWN_SHARE: Final = 0.7


def acquaint(case: Case, store: Store, chance: random.Random) -> None:
    """Put what exists in the place of some of what was made up, where that is as the documents want it."""
    meta = case.meta
    assert meta is not None
    parts = {
        ParameterLocation.PATH: case.path_parameters,
        ParameterLocation.QUERY: case.query,
        ParameterLocation.BODY: case.body,
    }
    for location, part in parts.items():
        if not meta.is_negative_at(location):
            _acquaint_part(part, case, store, chance)


def _acquaint_part(part: Any, case: Case, store: Store, chance: random.Random) -> None:
    # In place: what is set anew is judged anew, as it would be sent, and a file is found to be no text.
    if isinstance(part, list):
        for item in part:
            _acquaint_part(item, case, store, chance)
    if isinstance(part, dict):
        for name in part:
            if name in KNOWN and chance.random() < KNOWN_SHARE:
                part[name] = KNOWN[name](store, chance, case)


# ---------------------------------------------------------------- the run


@dataclass
class Tally:
    """What was sent to an operation."""

    modes: Counter[GenerationMode] = field(default_factory=Counter[GenerationMode])
    statuses: Counter[int] = field(default_factory=Counter[int])


@dataclass
class Finding:
    """A fault, with the shortest request that shows it."""

    operation: str
    what: str
    answer: str
    request: str
    times: int = 0


class Run:
    """Requests to one sandbox.

    Attributes:
        tallies: What was sent, by operation.
        findings: What is wrong, each once.
        exempted: How often an exemption held.
    """

    def __init__(self, sandbox: Sandbox, documents: Path, number: int) -> None:
        self._sandbox = sandbox
        self._documents = documents
        self._number = number
        self._chance = random.Random(number)
        self._session = requests.Session()
        self._keys = {"X-App-Id": sandbox.app_id, "X-App-Token": sandbox.app_token}
        self._systematic: dict[tuple[str, GenerationMode], list[Case]] = {}
        self._guarded: set[str] = set()
        self._operations = [(operation, list(GenerationMode)) for operation in operations(documents)]
        for operation, modes in self._operations:
            for mode in modes:
                cases = list(_systematic(operation, mode))
                self._chance.shuffle(cases)
                self._systematic[operation.label, mode] = cases
        self.tallies: dict[str, Tally] = defaultdict(Tally)
        self.findings: dict[tuple[object, ...], Finding] = {}
        self.exempted: Counter[Exemption] = Counter()

    @property
    def sent(self) -> int:
        """How many requests were generated and sent."""
        return sum(tally.modes.total() for tally in self.tallies.values())

    def go(self, count: int) -> None:
        """Send at least so many requests."""
        for number in itertools.count():
            left = min(count - self.sent, REQUESTS_OF_A_ROUND)
            if left <= 0:
                break
            share = left / len(self._operations)
            for operation, modes in self._operations:
                for mode in modes[:]:
                    if not self._send_some(operation, mode, math.ceil(share / len(modes)), number):
                        modes.remove(mode)  # nothing in such a request can be wrong

    def look_at_jobs(self) -> None:
        """Note the jobs that broke: nobody need have asked for them."""
        for job in self._sandbox.store.jobs.values():
            if job.failed:
                finding = Finding(job.type, "a job broke; the log tells how", "", f"the job {job.id}")
                self.findings.setdefault((job.type,), finding).times += 1

    def _send_some(self, operation: Operation, mode: GenerationMode, count: int, number: int) -> bool:
        """Send so many requests; return whether any could be made up."""
        systematic = self._systematic[operation.label, mode]
        chosen = [systematic.pop() for _ in range(min(count // 2, len(systematic)))]
        for case in chosen:
            self._send(case, self._chance)

        @seed(self._number * 1_000_003 + number)
        @settings(
            max_examples=count - len(chosen),
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=UNHEALTHY,
        )
        @given(operation.as_strategy(generation_mode=mode), st.integers(0, 2**32))
        def send(case: Case, chance: int) -> None:
            self._send(case, random.Random(chance))

        try:
            send()
        except Unsatisfiable:
            if mode.is_positive:
                raise
            return bool(chosen)
        return True

    def _send(self, case: Case, chance: random.Random) -> None:
        meta = case.meta
        assert meta is not None
        operation = case.operation.label
        tally = self.tallies[operation]
        tally.modes[meta.generation.mode] += 1
        acquaint(case, self._sandbox.store, chance)
        try:
            response = case.call(self._sandbox.base_url, self._session, self._keys)
        except requests.RequestException as error:
            self._found(case, (type(error),), f"no answer: {error}", "")
            return
        exchange = self._sandbox.requests[-1]
        tally.statuses[response.status_code] += 1
        checks = list(CHECKS)
        if response.status_code < 300 and operation not in self._guarded:
            self._guarded.add(operation)  # it takes several requests, and nothing depends on what is asked
            checks.append(ignored_auth)
        try:
            case.validate_response(
                response,
                checks=checks,
                headers=self._keys,
                transport_kwargs={"headers": self._keys, "base_url": self._sandbox.base_url},
            )
        except FailureGroup as group:
            for failure in group.exceptions:
                self._judge(case, response, failure, exchange)

    def _judge(self, case: Case, response: Response, failure: Exception, exchange: Exchange) -> None:
        name, operation = type(failure).__name__, case.operation.label
        for exemption in EXEMPTIONS:
            meant = exemption.failure == name and exemption.operation in {None, operation}
            if meant and exemption.holds(case, response):
                self.exempted[exemption] += 1
                return
        what = str(failure)
        if name == "JsonSchemaError":
            # It tries all kinds of a thing, and tells that it is none of them. A second library tells why not.
            what = "\n".join([what, *load(self._documents).check(exchange)])
        answer = f"{response.status_code} {response.text}"
        self._found(case, (name, response.status_code, _error(response).get("key")), what, answer)

    def _found(self, case: Case, kind: tuple[object, ...], what: str, answer: str) -> None:
        operation, request = case.operation.label, case.as_curl_command(self._keys)
        finding = self.findings.setdefault((operation, *kind), Finding(operation, what, answer, request))
        finding.times += 1
        if len(request) < len(finding.request):
            finding.what, finding.answer, finding.request = what, answer, request


def _systematic(operation: Operation, mode: GenerationMode) -> Iterator[Case]:
    generation = operation.schema.config.generation_for(operation=operation, phase="coverage")
    yield from operation.schema.iter_coverage_cases(
        operation, generation_modes=[mode], generation_config=generation
    )


def operations(where: Path) -> Iterator[Operation]:
    """Yield all operations of the overlaid documents."""
    for name in DOCUMENTS:
        config = schemathesis.Config.from_dict(CONFIGURATION)
        document = schemathesis.openapi.from_dict(overlaid(name, read(where, name)), config=config)
        for found in document.get_all_operations():
            if isinstance(found, Err):
                raise found.err()
            yield found.ok()


def report(run: Run, seconds: float) -> Iterator[str]:
    """Yield what a run has shown, line by line."""
    yield f"{'operation':52}{'requests':>9}{'good':>7}{'bad':>7}  statuses"
    for operation, tally in run.tallies.items():
        statuses = ", ".join(f"{status} x {times}" for status, times in sorted(tally.statuses.items()))
        good, bad = tally.modes[GenerationMode.POSITIVE], tally.modes[GenerationMode.NEGATIVE]
        yield f"{operation:52}{good + bad:9,}{good:7,}{bad:7,}  {statuses}"
    for exemption in EXEMPTIONS:
        yield f"{run.exempted[exemption]:,} x no fault: {exemption.operation or 'all'}: {exemption.why}"
    for finding in list(run.findings.values())[:FINDINGS_SHOWN]:
        yield f"\n{finding.operation}, {finding.times} x: {finding.what}"
        yield f"    {finding.request}"
        yield f"    {finding.answer[:1000]}"
    yield f"\n{run.sent:,} requests in {seconds:.1f} s: {len(run.findings)} findings"


def main(argv: Sequence[str] | None = None) -> int:
    """Run as the command line says; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.contract.conformance",
        description="Hold the sandbox to the published documents, with requests that schemathesis makes up.",
    )
    parser.add_argument("--requests", type=int, default=2000, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same requests")
    given_ = parser.parse_args(argv)
    where = directory()
    if where is None:
        parser.error(f"{VARIABLE} does not say where the published documents are")  # with status 2
    os.environ["no_proxy"] = "*"  # a proxy does not lead back to this machine
    started = time.perf_counter()
    with Sandbox(CUSTOMERS, seed=given_.seed) as sandbox:
        # Time passes by being looked at, so that nothing depends on how fast this machine is.
        sandbox.store.clock = FakeClock(1_800_000_000.0, step=0.002)
        run = Run(sandbox, where, given_.seed)
        run.go(given_.requests)
        run.look_at_jobs()
    sys.stdout.writelines(f"{line}\n" for line in report(run, time.perf_counter() - started))
    return 1 if run.findings else 0


if __name__ == "__main__":
    sys.exit(main())
