"""The status page in a browser: Chromium, if it and Playwright are installed."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import pytest_asyncio

from tests.support.browser import chromium
from tests.support.clocks import FakeClock
from voucherify_async import APIStatusError, RateLimitError, RetryPolicy, VoucherifyClient
from voucherify_async.sandbox import Quota, Sandbox
from voucherify_async.sandbox._http.faults import Faults

if TYPE_CHECKING:  # whoever runs other tests need not have it
    from playwright.async_api import Browser, ConsoleMessage, Dialog, Error, Locator, Page, Request, expect
else:

    def expect(locator: Any) -> Any:
        from playwright.async_api import expect as of

        return of(locator)


pytestmark = [pytest.mark.interop, pytest.mark.asyncio(loop_scope="module")]

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z
HOSTILE = "<img src=x onerror=alert(1)>"

LOOK_AGAIN = "document.dispatchEvent(new Event('visibilitychange'))"
HIDE = "hidden => Object.defineProperty(document, 'hidden', {get: () => hidden, configurable: true})"
LOW_CONTRAST = """() => {
  const parse = color => color.match(/[\\d.]+/g).map(Number);
  const luminance = color => parse(color).slice(0, 3)
    .map(part => part / 255)
    .map(part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = node => {
    const color = getComputedStyle(node).backgroundColor;
    return parse(color)[3] === 0 ? behind(node.parentElement) : color;
  };
  const texts = [...document.querySelectorAll("body *")].filter(node => node.checkVisibility()
    && [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim()));
  if (texts.length < 50) return ["too little to judge"];
  return texts.flatMap(node => {
    const [dark, light] = [getComputedStyle(node).color, behind(node)].map(luminance).sort((a, b) => a - b);
    const ratio = (light + 0.05) / (dark + 0.05);
    return ratio < 4.5 ? [`${node.textContent}: ${ratio}`] : [];
  });
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium(ARGUMENTS) as launched:
        yield launched


@pytest_asyncio.fixture(loop_scope="module")
async def served() -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def client(served: Sandbox) -> AsyncIterator[VoucherifyClient]:
    async with served.client(retry=RetryPolicy(attempts=1), rate_limiter=None) as made:
        yield made


@pytest.fixture
def problems() -> list[str]:
    """What went wrong in the browser. A test that expects something takes it out."""
    return []


@pytest.fixture
def asked() -> list[str]:
    """Where the browser has sent requests."""
    return []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tab(browser: Browser) -> AsyncIterator[Page]:
    """A page to be led elsewhere by each test: a new one for each takes longer than most of them."""
    context = await browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    yield await context.new_page()
    await context.close()


@pytest_asyncio.fixture(loop_scope="module")
async def page(tab: Page, served: Sandbox, problems: list[str], asked: list[str]) -> AsyncIterator[Page]:
    """The status page. In the end it must have met no problem, and have asked nobody else."""

    def hear(said: ConsoleMessage) -> None:
        problems.append(said.text)

    def fail(error: Error) -> None:
        problems.append(str(error))

    def note(request: Request) -> None:
        asked.append(request.url)

    def answer(dialog: Dialog) -> None:
        problems.append(dialog.message)

    listeners: Any = {"console": hear, "pageerror": fail, "request": note, "dialog": answer}
    for event, listener in listeners.items():
        tab.on(event, listener)
    await tab.set_viewport_size({"width": 1400, "height": 900})
    await tab.emulate_media(color_scheme="light", reduced_motion="reduce")
    base_url = served.base_url
    await tab.goto(base_url)
    await expect(tab.get_by_text("Live", exact=True)).to_be_visible()
    yield tab
    await tab.goto("about:blank")
    for event, listener in listeners.items():
        tab.remove_listener(event, listener)
    assert not problems
    own = re.compile(re.escape(base_url) + r"/(-/(status(\?.*)?|settings|failures|requests/\d+))?")
    assert {url for url in asked if not own.fullmatch(url)} <= {"about:blank"}


def count(page: Page, name: str) -> Locator:
    return page.locator(f"[data-count={name}]")


async def set_number(field: Locator, value: str) -> None:
    await field.fill(value)
    await field.press("Enter")


def in_force(served: Sandbox) -> Any:
    return served.latency, served.rate_limit, served.faults


async def fill_with_everything(served: Sandbox, client: VoucherifyClient, page: Page) -> None:
    """All that the page can show."""
    served.store.job_seconds = 3600
    await client.customers.create(source_id="a", metadata={"tier": "gold"})
    await client.customers.update_metadata_in_bulk(["a"], {"tier": "silver"})
    async with aiohttp.ClientSession(served.base_url) as http:
        for path in ("/v1/" + 400 * "long", "/v1/customers/" + 100 * "%F0%9F%92%B3", "/v1/?" + 400 * "x"):
            async with http.get(path):
                pass
    served.faults = Faults(status={503: 0.999}, reset=0.0001, truncate=0.0001, stall=0.0001)
    for _ in range(3):
        with pytest.raises(APIStatusError):
            await client.customers.list()
    served.latency = (0.001, 0.25)
    served.rate_limit = Quota(1)
    with pytest.raises(APIStatusError):
        await client.customers.list()
    await page.evaluate(LOOK_AGAIN)
    await expect(page.get_by_text("0 of 1 left")).to_be_visible()
    for name in ("/v1/customers/metadata/async", "/v1/longlong"):
        await page.get_by_role("button", name=name).click()
    await expect(page.locator(".messages")).to_have_count(2)


async def test_a_page_of_nothing(served: Sandbox, page: Page) -> None:
    await expect(page.get_by_role("heading", name="Voucherify sandbox")).to_be_visible()
    for name in ("customers", "jobs", "tokens", "requests"):
        await expect(count(page, name)).to_have_text("0")
    await expect(page.locator("#base-url")).to_have_text(served.base_url)
    await expect(page.locator("#app-token")).to_have_text(served.app_token)
    await expect(page.get_by_text("No rate limit is set")).to_be_visible()
    assert not served.requests


async def test_a_request_is_shown_by_itself(
    served: Sandbox, client: VoucherifyClient, page: Page, asked: list[str]
) -> None:
    await client.customers.create(source_id="crm 1")
    await client.customers.get("crm 1")
    rows = page.get_by_role("table", name="Requests").locator("tbody").get_by_role("row")
    await expect(rows).to_have_count(2)
    await expect(rows.first).to_contain_text("/v1/customers/crm 1")
    await expect(rows.last.get_by_role("cell")).to_have_text(
        [re.compile(r"^\d\d:\d\d:\d\d$"), "POST", "/v1/customers", "200", re.compile(r"^[\d.,]+$")]
    )
    await expect(rows.last.locator(".green")).to_have_text("200")
    await expect(count(page, "customers")).to_have_text("1")
    await expect(count(page, "requests")).to_have_text("2")
    assert asked.count(f"{served.base_url}/") == 1  # never loaded again


async def test_a_job_gets_on(served: Sandbox, client: VoucherifyClient, page: Page) -> None:
    clock = served.store.clock = FakeClock(NOW)
    served.store.job_seconds, served.store.job_seconds_per_item = 10, 0
    await client.customers.update_metadata_in_bulk(["a", "b"], {"tier": "gold"})
    jobs = page.get_by_role("region", name="Jobs")
    bar = jobs.get_by_role("progressbar")
    for elapsed, value, words in ((0, 0, "0 % of 2"), (5, 50, "50 % of 2"), (10, 100, "2 done")):
        clock.now = NOW + elapsed
        await page.evaluate(LOOK_AGAIN)
        await expect(jobs.get_by_text(words)).to_be_visible()
        await expect(bar).to_have_js_property("value", value)
    await expect(jobs.get_by_text("done", exact=True)).to_be_visible()


async def test_when_a_job_began_and_how_many_items_failed(
    served: Sandbox, client: VoucherifyClient, page: Page
) -> None:
    now = NOW
    served.store.clock = lambda: now
    served.store.job_seconds, served.store.job_seconds_per_item = 10, 0
    await client.customers.update_in_bulk([{"source_id": "a"}, {"source_id": "b", "metadata": {"n": 1}}])
    (job,) = served.store.jobs.values()
    job.work.source_ids.append("c")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    job.work.customers.append({"source_id": "c", "email": 7})  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    job.last = 3
    now += 1
    await client.customers.update_metadata_in_bulk(["a"], {"tier": "gold"})
    rows = page.get_by_role("region", name="Jobs").get_by_role("listitem")
    await page.evaluate(LOOK_AGAIN)
    await expect(rows).to_have_count(2)
    clock = re.compile(r"^aa_\w+ ?queued \d\d:\d\d:\d\d$")
    await expect(rows.first.locator(".id")).to_have_text(clock)
    began = await page.evaluate("at => new Date(at * 1000).toLocaleTimeString('en-GB')", NOW)
    await expect(rows.last.locator(".id")).to_contain_text(f"began {began}")
    now += 20
    await page.evaluate(LOOK_AGAIN)
    await expect(rows.last.locator(".counted")).to_have_text("2 done, 1 failed")
    await expect(rows.last.locator(".failed")).to_have_text("1 failed")
    await expect(rows.first.locator(".id")).to_contain_text("began ")


async def test_a_request_opens_and_closes(served: Sandbox, client: VoucherifyClient, page: Page) -> None:
    await client.customers.create(source_id="crm-1", name="Ada")
    await client.oauth.create_token(scope="api")
    (token,) = served.store.tokens
    await page.evaluate(LOOK_AGAIN)
    rows = page.locator("tr.request")
    await expect(rows).to_have_count(2)
    await rows.last.locator(".time").click()
    sent = page.get_by_role("region", name="Request", exact=True)
    answer = page.get_by_role("region", name="Response", exact=True)
    await expect(sent.locator("pre")).to_have_text('{\n  "name": "Ada",\n  "source_id": "crm-1"\n}')
    await expect(sent.locator("dl")).to_contain_text("X-App-Id" + served.app_id)
    await expect(sent.locator("dl")).to_contain_text("X-App-Token(hidden)")
    await expect(answer.locator("dl")).to_contain_text("Content-Typeapplication/json")
    await expect(answer.locator("pre")).to_contain_text('"object": "customer"')
    button = rows.last.get_by_role("button")
    await expect(button).to_have_attribute("aria-expanded", "true")
    await button.press("Enter")
    await expect(sent).to_have_count(0)
    await expect(button).to_have_attribute("aria-expanded", "false")
    await rows.first.get_by_role("button").press("Enter")
    await expect(answer.locator("pre")).to_contain_text('"access_token": "(hidden)"')
    assert token not in await page.content()
    await client.customers.list()  # what is open stays so, in its place
    await page.evaluate(LOOK_AGAIN)
    await expect(rows).to_have_count(3)
    await expect(page.locator("tr.request:has([aria-expanded=true]) + tr.details")).to_have_count(1)
    await expect(answer.locator("pre")).to_contain_text('"access_token": "(hidden)"')


async def test_bodies_that_are_large_or_missing(
    served: Sandbox, client: VoucherifyClient, page: Page
) -> None:
    await client.customers.update_in_bulk([{"source_id": f"crm-{number}"} for number in range(5_000)])
    await client.customers.list()
    await page.evaluate(LOOK_AGAIN)
    rows = page.locator("tr.request")
    await expect(rows).to_have_count(2)
    await rows.last.get_by_role("button").click()
    sent = page.get_by_role("region", name="Request", exact=True)
    await expect(sent).to_contain_text(re.compile(r"The first 20,000 characters of [\d,]+ bytes"))
    await rows.last.get_by_role("button").click()
    await rows.first.get_by_role("button").click()
    await expect(sent).to_contain_text("No body")
    await expect(sent.locator("pre")).to_have_count(0)


async def test_a_request_that_is_no_longer_kept(
    served: Sandbox, client: VoucherifyClient, page: Page, problems: list[str]
) -> None:
    await client.customers.list()
    await page.evaluate(LOOK_AGAIN)
    row = page.locator("tr.request")
    await expect(row).to_have_count(1)
    await page.evaluate(HIDE, arg=True)  # no further poll, which would take the row away
    served.requests.clear()
    await row.get_by_role("button").click()
    await expect(page.locator("tr.details")).to_have_text("The sandbox does not keep this request any more")
    await row.get_by_role("button").click()
    await served.aclose()
    await row.get_by_role("button").click()
    await expect(page.locator("tr.details")).to_have_text("The sandbox did not respond.")
    assert len(problems) == 2
    problems.clear()


async def test_filters(served: Sandbox, client: VoucherifyClient, page: Page) -> None:
    await client.customers.create(source_id="crm-1")
    served.fail_next("customers.get", status=409)
    with pytest.raises(APIStatusError):
        await client.customers.get("crm-1")
    await client.customers.list(city="London")
    paths = page.locator("tr.request td.path")
    await page.evaluate(LOOK_AGAIN)
    await expect(paths).to_have_count(3)
    await page.get_by_role("switch", name="Errors only").focus()
    await page.keyboard.press("Space")
    await expect(paths).to_have_text(["/v1/customers/crm-1"])
    await page.keyboard.press("Tab")
    await page.keyboard.type("london")
    await expect(page.get_by_text("No request matches the filter.")).to_be_visible()
    await page.get_by_role("switch", name="Errors only").uncheck()
    await expect(paths).to_have_count(1)
    await expect(paths).to_contain_text("/v1/customers?city=London&")
    await page.keyboard.press("Tab")
    await page.get_by_role("searchbox", name="Filter by path").fill("")
    await expect(paths).to_have_count(3)


async def test_planned_failures(served: Sandbox, page: Page) -> None:
    served.fail_next("customers.update", status=409, times=3)
    served.fail_next(("GET", "/v1/customers/*"), status=503)
    await page.evaluate(LOOK_AGAIN)
    chips = page.get_by_role("group", name="Active settings").locator("span")
    await expect(chips).to_have_text(["next 3 customers.update: 409", "next GET /v1/customers/*: 503"])
    await page.get_by_role("button", name="Turn everything off").click()
    await expect(chips).to_have_count(0)
    assert served.planned_failures == ()


async def test_the_first_frame_is_right_without_a_script(browser: Browser, served: Sandbox) -> None:
    served.latency, served.rate_limit = (0.07, 1.5), Quota(7, 3600, fixed=True)
    served.faults = Faults(stall=0.07, status={503: 0.5})
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(served.base_url)
    await expect(page.get_by_role("radio", name="Range")).to_be_checked()
    await expect(page.get_by_label("Maximum latency in milliseconds")).to_have_value("1500")
    await expect(page.get_by_role("switch", name="Rate limit")).to_be_checked()
    await expect(page.get_by_label("Period in seconds")).to_have_value("3600")
    await expect(page.get_by_label("Kind of window")).to_have_value("fixed")
    await expect(page.get_by_role("switch", name="Stall")).to_be_checked()
    await expect(page.get_by_role("switch", name="Reset")).not_to_be_checked()
    await expect(page.get_by_label("Status 503, in percent")).to_have_value("50")
    await context.close()


async def test_a_path_is_cut_only_where_it_must_be(served: Sandbox, page: Page) -> None:
    long = "/v1/" + "x" * 300
    async with aiohttp.ClientSession(served.base_url) as http:
        for path in ("/v1/customers/0123456789/segments?city=London", long):
            async with http.get(path):
                pass
    await page.evaluate(LOOK_AGAIN)
    buttons = page.locator("td.path button")
    await expect(buttons).to_have_count(2)
    cut = await buttons.evaluate_all("nodes => nodes.map(node => node.scrollWidth > node.clientWidth)")
    assert cut == [True, False]
    await expect(page.locator("td.path").first).to_have_attribute("title", long)


async def test_latency(served: Sandbox, page: Page) -> None:
    chips = page.get_by_role("group", name="Active settings")
    await page.get_by_role("radio", name="Fixed").check()
    await expect(chips).to_have_text("+200 ms")
    assert in_force(served) == (0.2, None, Faults())
    await set_number(page.get_by_label("Latency in milliseconds", exact=True), "0.3")
    await expect(chips).to_have_text("+0.3 ms")
    assert in_force(served) == (0.0003, None, Faults())
    await page.get_by_role("radio", name="Range").check()
    await expect(chips).to_have_text("+0.3\N{EN DASH}800 ms")
    await set_number(page.get_by_label("Maximum latency in milliseconds"), "1500")
    await expect(chips).to_have_text("+0.3\N{EN DASH}1,500 ms")
    assert in_force(served) == ((0.0003, 1.5), None, Faults())
    await page.get_by_role("radio", name="Off").check()
    await expect(chips).to_be_empty()
    assert in_force(served) == (0, None, Faults())


async def test_a_fault_is_switched_with_the_keyboard(served: Sandbox, page: Page) -> None:
    switch = page.get_by_role("switch", name="Stall")
    await switch.focus()
    await page.keyboard.press("Space")
    chance = page.get_by_label("Stall, in percent")
    await expect(chance).to_have_value("5")
    await expect(page.get_by_text("Stall 5 %")).to_be_visible()
    assert served.faults == Faults(stall=0.05)
    await page.keyboard.press("Tab")
    await expect(chance).to_be_focused()
    await page.keyboard.type("7")  # what is there is selected
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Stall 7 %")).to_be_visible()
    assert served.faults == Faults(stall=0.07)
    await switch.press("Space")
    await expect(chance).to_be_hidden()
    assert served.faults == Faults()


async def test_an_error_status(served: Sandbox, client: VoucherifyClient, page: Page) -> None:
    await page.get_by_role("button", name="Add status").click()
    await expect(page.get_by_text("503 5 %")).to_be_visible()
    await set_number(page.get_by_label("Status 503, in percent"), "100")
    await expect(page.get_by_text("503 100 %")).to_be_visible()
    with pytest.raises(APIStatusError) as raised:
        await client.customers.list()
    assert raised.value.status == 503
    await page.evaluate(LOOK_AGAIN)
    await expect(page.locator("td.status .violet")).to_have_text("503 injected")
    await set_number(page.get_by_label("Status", exact=True), "500")
    await expect(page.get_by_text("500 100 %")).to_be_visible()
    assert served.faults == Faults(status={500: 1})
    await page.get_by_role("button", name="Remove the status 500").click()
    await expect(page.get_by_text("500 100 %")).to_be_hidden()
    assert served.faults == Faults()


async def test_the_rate_limit(served: Sandbox, client: VoucherifyClient, page: Page) -> None:
    await page.get_by_role("switch", name="Rate limit").click()
    await expect(page.get_by_text("100 of 100 left")).to_have_count(2)
    await set_number(page.get_by_label("Calls in one period"), "1")
    await page.get_by_label("Kind of window").select_option("fixed window")
    await expect(page.get_by_text("fixed window of 60 s")).to_be_visible()
    assert served.rate_limit == Quota(1, fixed=True)
    await client.customers.list()
    with pytest.raises(RateLimitError):
        await client.customers.list()
    await page.evaluate(LOOK_AGAIN)
    await expect(page.get_by_text("0 of 1 left")).to_be_visible()
    await expect(page.get_by_text(re.compile(r"Blocked for \d+ s, until \d\d:\d\d:\d\d"))).to_be_visible()
    await expect(page.get_by_role("progressbar", name="Bulk calls left")).to_have_js_property("value", 1)
    await expect(page.locator("td.status .amber")).to_have_text("429")


async def test_everything_off(served: Sandbox, page: Page) -> None:
    served.latency, served.rate_limit = 0.5, Quota(7, 3600)
    served.faults = Faults(reset=0.25, status={500: 0.5})
    await page.evaluate(LOOK_AGAIN)
    chips = page.get_by_role("group", name="Active settings").locator("span")
    await expect(chips).to_have_text(["+500 ms", "7 calls in 3600 s", "Reset 25 %", "500 50 %"])
    await expect(page.get_by_label("Reset, in percent")).to_have_value("25")
    await page.get_by_role("button", name="Turn everything off").click()
    await expect(chips).to_have_count(0)
    assert in_force(served) == (0, None, Faults())
    await expect(page.get_by_role("switch", checked=True)).to_have_count(0)


async def test_a_bad_value_is_explained_beside_it(served: Sandbox, page: Page, problems: list[str]) -> None:
    served.faults = Faults(stall=0.5)
    await page.get_by_role("switch", name="Reset").click()
    form = page.get_by_role("form", name="Reset")
    complaint, chance = form.get_by_role("alert"), page.get_by_label("Reset, in percent")
    await expect(chance).to_have_value("5")
    await set_number(chance, "150")
    await expect(complaint).to_contain_text("100")  # in the browser's words
    await expect(chance).to_have_attribute("aria-invalid", "true")
    assert not problems
    await set_number(chance, "60")
    await expect(complaint).to_contain_text("must add up to at most 1")  # in the sandbox's
    await expect(chance).to_have_attribute("aria-invalid", "true")
    assert problems
    assert all("400" in problem for problem in problems)
    problems.clear()
    await page.evaluate(LOOK_AGAIN)
    await expect(chance).to_have_value("60")
    assert served.faults == Faults(stall=0.5, reset=0.05)
    await set_number(chance, "15")
    await expect(page.get_by_text("Reset 15 %")).to_be_visible()
    await expect(complaint).to_be_hidden()
    await expect(chance).to_have_attribute("aria-invalid", "false")
    assert served.faults == Faults(stall=0.5, reset=0.15)


async def test_what_is_being_typed_stays(served: Sandbox, page: Page) -> None:
    served.rate_limit = 10
    await page.evaluate(LOOK_AGAIN)
    field = page.get_by_label("Calls in one period")
    await expect(field).to_have_value("10")
    await field.fill("2")
    served.rate_limit = 20
    await page.evaluate(LOOK_AGAIN)
    await expect(page.get_by_text("20 of 20 left")).to_have_count(2)
    await expect(field).to_have_value("2")


async def test_the_sandbox_goes_away_and_comes_back(
    served: Sandbox, client: VoucherifyClient, page: Page, problems: list[str]
) -> None:
    await served.aclose()
    away = page.get_by_role("alert").filter(has_text="not reachable")
    await page.evaluate(LOOK_AGAIN)
    await expect(away).to_be_visible()
    await expect(page.get_by_text("Offline", exact=True)).to_be_visible()
    await page.get_by_role("switch", name="Reset").click()
    await expect(page.get_by_role("form", name="Reset").get_by_role("alert")).to_contain_text(
        "did not respond"
    )
    await served.start()
    await page.evaluate(LOOK_AGAIN)
    await expect(away).to_be_hidden()
    await client.customers.create(source_id="a")
    await page.evaluate(LOOK_AGAIN)
    await expect(count(page, "customers")).to_have_text("1")
    assert all("net::ERR_" in problem for problem in problems)
    problems.clear()


async def test_a_hidden_page_asks_nothing(browser: Browser, served: Sandbox, asked: list[str]) -> None:
    page = await browser.new_page()
    page.on("request", lambda request: asked.append(request.url))
    await page.clock.install()
    await page.goto(served.base_url)
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    await page.evaluate(HIDE, arg=True)
    await page.evaluate(LOOK_AGAIN)
    before = len(asked)
    await page.clock.run_for(60_000)
    assert len(asked) == before
    await page.evaluate(HIDE, arg=False)
    served.store.burst(3)
    await page.evaluate(LOOK_AGAIN)
    await expect(count(page, "customers")).to_have_text("3")
    served.store.burst(3)
    await page.clock.run_for(1000)
    await expect(count(page, "customers")).to_have_text("6")
    await page.close()


async def test_nothing_runs_that_a_caller_sends(
    served: Sandbox, page: Page, problems: list[str], asked: list[str]
) -> None:
    async with aiohttp.ClientSession(served.base_url) as http:
        for path in (f"/v1/customers/{HOSTILE}", f"/v1/customers?q={HOSTILE}", "/v1/\u202egnp.exe"):
            async with http.get(path):
                pass
    await page.evaluate(LOOK_AGAIN)
    await expect(page.get_by_text(f"/v1/customers/{HOSTILE}")).to_be_visible()
    await expect(page.get_by_text(f"?q={HOSTILE}")).to_be_visible()
    await expect(page.locator("img")).to_have_count(0)
    # Were there a way in, what comes in would not run.
    refusal = await page.evaluate(
        "() => { try { document.body.innerHTML = '<b>' } catch (error) { return error.name } }"
    )
    assert refusal == "TypeError"
    assert any("Trusted" in problem for problem in problems)
    problems.clear()


async def test_copying(served: Sandbox, page: Page) -> None:
    button = page.get_by_role("button", name="Copy the app token")
    await button.click()
    await expect(button).to_have_text("Copied")
    assert await page.evaluate("navigator.clipboard.readText()") == served.app_token
    await page.get_by_role("button", name="Copy all three").click()
    await expect(page.get_by_role("button", name="Copy all three")).to_have_text("Copied")
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied.splitlines() == [
        f"export VOUCHERIFY_BASE_URL={served.base_url}",
        f"export VOUCHERIFY_APP_ID={served.app_id}",
        f"export VOUCHERIFY_APP_TOKEN={served.app_token}",
    ]


@pytest.mark.parametrize("width", [320, 360, 800, 1400])
async def test_nothing_sticks_out(served: Sandbox, client: VoucherifyClient, page: Page, width: int) -> None:
    await page.set_viewport_size({"width": width, "height": 740})
    await fill_with_everything(served, client, page)
    size: Any = await page.evaluate(
        """() => [document.documentElement, ...document.querySelectorAll(".scroll")]
          .map(node => [node.scrollWidth, node.clientWidth])"""
    )
    assert all(needed <= there for needed, there in size), size


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_is_readable_in(served: Sandbox, client: VoucherifyClient, page: Page, scheme: Any) -> None:
    await page.emulate_media(color_scheme=scheme)
    await fill_with_everything(served, client, page)
    ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    levels = [int(part) for part in re.findall(r"\d+", ground)]
    assert (max(levels) < 40) if scheme == "dark" else (min(levels) > 230)
    assert await page.evaluate(LOW_CONTRAST) == []
