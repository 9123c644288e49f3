"""Walks by page number, by id, and by rules of the caller's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.support.service import chain, ids, one_page, pages, walk
from voucherify_async.errors import PageLimitError, PaginationStalledError
from voucherify_async.models.customers import Customer
from voucherify_async.pagination.rules import IdRule, PageAnswer, PageNumberRule, SinglePage, Step
from voucherify_async.pagination.rules.base import MAX_IDLE_PAGES, item_digest
from voucherify_async.pagination.rules.page_number import locate, page_at


class Numbered:
    """A list by page number, of which something may change before each request."""

    def __init__(self, count: int, *, most: int = 100, **says: bool) -> None:
        self.keys = [f"i{number}" for number in range(count)]
        self.most = most
        self.says = says
        self.requests: list[Mapping[str, Any]] = []
        self.change: Callable[[int], None] = lambda _: None

    def answer(self, query: Mapping[str, Any]) -> PageAnswer:
        self.change(len(self.requests))
        self.requests.append(query)
        size = min(query["limit"] or 10, self.most)
        start = (query["page"] - 1) * size
        return PageAnswer(
            [Customer(id=key) for key in self.keys[start : start + size]],
            has_more=start + size < len(self.keys) if self.says.get("has_more") else None,
            total=len(self.keys)
            if self.says.get("total")
            else 5 * len(self.keys)
            if self.says.get("wrong")
            else None,
            limit=query["limit"],
        )


SAYS = [{}, {"total": True}, {"wrong": True}, {"has_more": True}]


class TestPageNumber:
    @pytest.mark.parametrize("says", SAYS, ids=str)
    @pytest.mark.parametrize("most", [100, 30])
    @pytest.mark.parametrize("count", [0, 1, 19, 20, 21, 100, 101, 250])
    @pytest.mark.parametrize("limit", [1, 20, 99, 100])
    def test_every_page_is_full(self, says: dict[str, bool], most: int, count: int, limit: int) -> None:
        if limit == 1 and count > 99:
            return
        for way in (pages, chain):
            service = Numbered(count, most=most, **says)
            found = way(PageNumberRule(), service, limit=limit)
            assert ids(found) == service.keys
            assert [len(page) for page in found[:-1]] == [limit] * (len(found) - 1)
            assert len(found[-1]) or not count
            assert all(len(page.next_cursor or "") <= 300 for page in found)

    def test_a_stream_asks_for_whole_pages(self) -> None:
        service = Numbered(250, total=True)
        walk(PageNumberRule(), service, query={"city": "London"})
        assert service.requests == [{"city": "London", "limit": 100, "page": number} for number in (1, 2, 3)]

    def test_what_moves_on_is_not_delivered_twice(self) -> None:
        service = Numbered(100)
        first = one_page(PageNumberRule(), service, limit=20)
        service.keys[:0] = ["new 1", "new 2"]
        second = one_page(PageNumberRule(), service, limit=20, cursor=first.next_cursor)
        assert ids([first, second]) == [f"i{number}" for number in range(40)]

    def test_a_first_page_of_the_callers(self) -> None:
        service = Numbered(100)
        assert ids([one_page(PageNumberRule(3), service, limit=20)]) == service.keys[40:60]
        assert service.requests[0] == {"limit": 20, "page": 3}

    def test_the_end_of_page_numbers(self) -> None:
        assert len(walk(PageNumberRule(), Numbered(9_900, total=True))) == 9_900
        assert len(walk(PageNumberRule(), Numbered(9_899))) == 9_899
        with pytest.raises(PageLimitError, match=r"page numbers end at 99.*created_at"):
            walk(PageNumberRule(), Numbered(9_901, total=True))

    @pytest.mark.parametrize("more", [True, None])
    def test_a_page_that_repeats(self, more: bool | None) -> None:
        class Deaf(Numbered):
            def answer(self, query: Mapping[str, Any]) -> PageAnswer:
                return super().answer({**query, "page": 1})._replace(has_more=more)

        service = Deaf(100)
        if more is None:
            assert walk(PageNumberRule(), service) == service.keys
        else:
            with pytest.raises(PaginationStalledError, match=r"had no new items.*narrow the list"):
                walk(PageNumberRule(), service)
        assert len(service.requests) <= MAX_IDLE_PAGES + 1


@pytest.mark.parametrize(
    ("place", "largest", "need", "asked"),
    [
        (0, 100, 100, (100, 1)),
        (100, 100, 100, (100, 2)),
        (92, 100, 100, (92, 2)),
        (9_800, 100, 100, (100, 99)),
        (9_900, 100, 100, None),
        (12, 100, 29, (41, 1)),
        (50, 1, 1, (1, 51)),
        (99, 1, 1, None),
    ],
)
def test_a_page_that_begins_close_to_a_place(
    place: int, largest: int, need: int, asked: tuple[int, int] | None
) -> None:
    assert page_at(place, largest, need) == asked


def marks(text: str) -> list[bytes]:
    return [item_digest({"id": letter}) for letter in text]


@pytest.mark.parametrize(
    ("before", "after", "found", "index"),
    [
        pytest.param("abcd", "efgh", "abcdefgh", 4, id="where it was"),
        pytest.param("abcd", "efgh", "xyabcdefgh", 6, id="moved on"),
        pytest.param("abcd", "efgh", "cdefgh", 2, id="moved to the front"),
        pytest.param("abcd", "efgh", "abcxdefgh", 5, id="something new in between"),
        pytest.param("abcd", "efgh", "efgh", 0, id="all before it deleted"),
        pytest.param("abcd", "efgh", "abc", None, id="too few of them"),
        pytest.param("abcd", "efgh", "bacdefgh", None, id="in another order"),
        pytest.param("ab", "", "ab", 2, id="few, but all"),
        pytest.param("", "", "xyz", 0, id="at the beginning"),
    ],
)
def test_where_a_list_goes_on(before: str, after: str, found: str, index: int | None) -> None:
    assert locate(marks(before), marks(after), marks(found)) == index


def test_scattered_neighbours_are_no_place() -> None:
    letters = "ab" + "".join(map(chr, range(200, 260))) + "cd"
    assert locate(marks("abcd"), (), marks(letters)) is None


class ById:
    """A list by id; `cursors` makes the service's own of the id to go on after."""

    def __init__(self, *answers: PageAnswer) -> None:
        self.answers = answers
        self.requests: list[Mapping[str, Any]] = []

    def answer(self, query: Mapping[str, Any]) -> PageAnswer:
        self.requests.append(query)
        return self.answers[min(len(self.requests), len(self.answers)) - 1]


def items(*keys: str) -> list[dict[str, str]]:
    return [{"id": key} for key in keys]


def plain(rule: Any, service: Any, **options: Any) -> list[str]:
    return [item["id"] for page in pages(rule, service, **options) for item in page.items]


class TestId:
    def test_query(self) -> None:
        service = ById(PageAnswer([], False))
        plain(IdRule("a"), service, limit=5, query={"order": "id"})
        assert service.requests == [{"order": "id", "limit": 5, "starting_after_id": "a"}]

    @pytest.mark.parametrize(
        ("first", "after"),
        [
            pytest.param(PageAnswer(items("a", "b"), True, None, "b"), "b", id="the service says where"),
            pytest.param(
                PageAnswer(items("a", "b"), True), "b", id="the service says only that there is more"
            ),
            pytest.param(PageAnswer(items("a", "b")), "b", id="the service says nothing"),
            pytest.param(PageAnswer(items("a", "b"), False, None, "b"), None, id="the service says the end"),
            pytest.param(PageAnswer([]), None, id="nothing"),
            pytest.param(PageAnswer([], True, None, "z"), "z", id="an empty page on the way"),
        ],
    )
    def test_next(self, first: PageAnswer, after: str | None) -> None:
        service = ById(first, PageAnswer([], False))
        assert plain(IdRule(), service) == [item["id"] for item in first.items]
        assert [query["starting_after_id"] for query in service.requests] == [None, after][
            : 1 + (after is not None)
        ]

    def test_what_comes_again_is_delivered_once(self) -> None:
        service = ById(
            PageAnswer(items("a", "b", "b"), True), PageAnswer(items("b", "c"), True), PageAnswer([], False)
        )
        assert plain(IdRule(), service) == ["a", "b", "c"]

    @pytest.mark.parametrize("limit", [1, 2, 3, 7])
    def test_every_page_is_full(self, limit: int) -> None:
        keys = [f"e{number:02}" for number in range(20)]

        class Short(ById):
            def answer(self, query: Mapping[str, Any]) -> PageAnswer:
                after = query["starting_after_id"]
                rest = keys if after is None else keys[keys.index(after) + 1 :]
                return PageAnswer(items(*rest[:2]), len(rest) > 2, None, rest[1] if len(rest) > 2 else None)

        for way in (pages, chain):
            found = way(IdRule(), Short(), limit=limit)
            assert [item["id"] for page in found for item in page.items] == keys
            assert [len(page) for page in found[:-1]] == [limit] * (len(found) - 1)

    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(PageAnswer(items("x"), True, None, "b"), id="the same cursor again"),
            pytest.param(PageAnswer([], True), id="more, and nowhere to go on from"),
            pytest.param(PageAnswer([{"name": "no id"}], True), id="an item without an id"),
        ],
    )
    def test_a_cursor_that_does_not_move_stalls(self, answer: PageAnswer) -> None:
        with pytest.raises(PaginationStalledError, match="no new id after"):
            walk_all(IdRule("b"), ById(answer))

    @pytest.mark.parametrize("keys", [(), ("a", "b")], ids=["empty pages", "the same items"])
    def test_ever_new_cursors_and_nothing_new_stall(self, keys: tuple[str, ...]) -> None:
        class Endless(ById):
            def answer(self, query: Mapping[str, Any]) -> PageAnswer:
                self.requests.append(query)
                return PageAnswer(items(*keys), True, None, f"c{len(self.requests)}")

        service = Endless()
        with pytest.raises(PaginationStalledError, match="20 consecutive pages had no new items"):
            walk_all(IdRule(), service)
        assert len(service.requests) <= MAX_IDLE_PAGES + 1

    def test_a_page_returns_what_it_has_at_an_empty_one(self) -> None:
        service = ById(PageAnswer(items("a"), True, None, "a"), PageAnswer([], True, None, "z"))
        page = one_page(IdRule(), service, limit=5)
        assert ([item["id"] for item in page.items], page.has_more) == (["a"], True)
        assert len(service.requests) == 2


def walk_all(rule: Any, service: Any) -> None:
    plain(rule, service)


def test_single_page() -> None:
    service = ById(PageAnswer(items(*"abc"), total=3))
    page = one_page(SinglePage(), service, limit=None, query={"a": 1})
    assert (len(page), page.total, page.has_more) == (3, 3, False)
    assert service.requests == [{"a": 1}]
    assert [len(page) for page in chain(SinglePage(), service, limit=2)] == [2, 1]


class Counted:
    """A rule of the caller's: pages of three, by number."""

    name = "counted"
    state_type = int

    def start(self) -> int:
        return 0

    def query(self, state: int, base: Any, limit: int | None) -> Any:
        return {**base, "page": state, "limit": limit}

    def advance(self, state: int, page: PageAnswer) -> Step:
        return Step([True] * len(page.items), None if page.has_more is False else state + 1)


class TestRuleOfTheCallers:
    def service(self, count: int) -> Any:
        class Threes(ById):
            def answer(self, query: Mapping[str, Any]) -> PageAnswer:
                number = query["page"]
                keys = [f"i{index}" for index in range(3 * number, min(count, 3 * number + 3))]
                return PageAnswer(items(*keys), 3 * number + 3 < count)

        return Threes()

    @pytest.mark.parametrize("limit", [1, 2, 3, 4, 10])
    def test_every_page_is_full(self, limit: int) -> None:
        for way in (pages, chain):
            found = way(Counted(), self.service(11), limit=limit)
            assert [item["id"] for page in found for item in page.items] == [
                f"i{number}" for number in range(11)
            ]
            assert [len(page) for page in found[:-1]] == [limit] * (len(found) - 1)

    def test_a_rule_that_does_not_say_of_every_item(self) -> None:
        class Silent(Counted):
            def advance(self, state: int, page: PageAnswer) -> Step:
                return Step([], None)

        with pytest.raises(ValueError, match="must return one `unseen` value"):
            walk_all(Silent(), self.service(3))

    def test_a_rule_that_finds_nothing_stalls(self) -> None:
        class Blind(Counted):
            def advance(self, state: int, page: PageAnswer) -> Step:
                return Step([False] * len(page.items), state + 1)

        with pytest.raises(PaginationStalledError, match="had no new items"):
            walk_all(Blind(), self.service(3))

    def test_its_error_comes_after_its_items(self) -> None:
        class Broken(Counted):
            def advance(self, state: int, page: PageAnswer) -> Step:
                return Step([True] * len(page.items), 1, PaginationStalledError("enough"))

        page = one_page(Broken(), self.service(30), limit=3)
        assert len(page) == 3
        with pytest.raises(PaginationStalledError, match="enough"):
            walk_all(Broken(), self.service(30))
