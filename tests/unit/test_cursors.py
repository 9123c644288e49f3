from __future__ import annotations

from typing import Any

import pytest

from voucherify_async.errors import PageLimitError, PaginationStalledError
from voucherify_async.pagination.cursors import (
    IdRule,
    IdState,
    PageAnswer,
    PageNumberRule,
    PageNumberState,
    SinglePage,
)


def items(*ids: str) -> list[dict[str, str]]:
    return [{"id": key} for key in ids]


def page_of(count: int, first: int = 0) -> list[dict[str, str]]:
    return items(*(f"i{number}" for number in range(first, first + count)))


class TestPageNumber:
    @pytest.mark.parametrize(
        ("answer", "goes_on"),
        [
            pytest.param(
                PageAnswer(page_of(100), has_more=True, limit=100), True, id="the service says more"
            ),
            pytest.param(
                PageAnswer(page_of(100), has_more=False, limit=100), False, id="the service says no more"
            ),
            pytest.param(PageAnswer(page_of(100), limit=100), True, id="full, and nothing said"),
            pytest.param(PageAnswer(page_of(30), limit=100), True, id="short, and nothing said"),
            pytest.param(
                PageAnswer(page_of(30), total=30, limit=100), False, id="short, and the total reached"
            ),
            pytest.param(
                PageAnswer(page_of(30), total=31, limit=100), True, id="short, and the total not reached"
            ),
            pytest.param(
                PageAnswer(page_of(100), total=100, limit=100), True, id="full, and the total reached"
            ),
            pytest.param(PageAnswer([], limit=100), False, id="empty"),
            pytest.param(
                PageAnswer(page_of(3), total=3), False, id="no size asked for, and the total reached"
            ),
        ],
    )
    def test_end(self, answer: PageAnswer, goes_on: bool) -> None:
        rule = PageNumberRule()
        assert (rule.advance(rule.start(), answer).state is not None) == goes_on

    def test_what_the_page_before_held_is_not_delivered_again(self) -> None:
        rule = PageNumberRule()
        first = rule.advance(rule.start(), PageAnswer(items("a", "b"), limit=2))
        second = rule.advance(first.state, PageAnswer(items("b", "c"), limit=2))
        assert second.unseen == [False, True]

    def test_a_page_that_repeats_ends_the_walk(self) -> None:
        rule = PageNumberRule()
        first = rule.advance(rule.start(), PageAnswer(items("a", "b"), limit=2))
        assert rule.advance(first.state, PageAnswer(items("a", "b"), limit=2)).state is None

    def test_a_page_that_repeats_with_more_to_come_stalls(self) -> None:
        rule = PageNumberRule()
        first = rule.advance(rule.start(), PageAnswer(items("a"), has_more=True, limit=2))
        error = rule.advance(first.state, PageAnswer(items("a"), has_more=True, limit=2)).error
        assert isinstance(error, PaginationStalledError)

    def test_query(self) -> None:
        rule = PageNumberRule(3)
        assert rule.query(rule.start(), {"city": "London"}, 50) == {"city": "London", "limit": 50, "page": 3}

    def test_the_size_is_kept_when_the_walk_goes_on(self) -> None:
        """A page number means another place with another size."""
        rule = PageNumberRule()
        state = rule.advance(rule.start(), PageAnswer(page_of(10))).state
        assert rule.query(state, {}, 100) == {"limit": 10, "page": 2}

    @pytest.mark.parametrize(
        ("answer", "ends"),
        [
            pytest.param(PageAnswer(page_of(100), limit=100), False, id="full"),
            pytest.param(
                PageAnswer(page_of(100), total=9_900, limit=100), True, id="full, and the total reached"
            ),
            pytest.param(
                PageAnswer(page_of(100), total=9_901, limit=100), False, id="full, and the total not reached"
            ),
            pytest.param(PageAnswer(page_of(99), limit=100), True, id="short"),
            pytest.param(
                PageAnswer(page_of(99), has_more=True, limit=100), False, id="short, and there is more"
            ),
        ],
    )
    def test_after_page_99(self, answer: PageAnswer, ends: bool) -> None:
        rule = PageNumberRule()
        step = rule.advance(PageNumberState(99, 100), answer)
        assert all(step.unseen)
        if ends:
            assert step.state is None
        else:
            with pytest.raises(PageLimitError, match="page numbers end at 99.*created_at"):
                rule.query(step.state, {}, 100)


class TestId:
    def test_query(self) -> None:
        rule = IdRule("a")
        assert rule.query(rule.start(), {"order": "id"}, 5) == {
            "order": "id",
            "limit": 5,
            "starting_after_id": "a",
        }

    @pytest.mark.parametrize(
        ("answer", "after"),
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
    def test_next(self, answer: PageAnswer, after: str | None) -> None:
        rule = IdRule()
        step = rule.advance(rule.start(), answer)
        assert (None if step.state is None else step.state.after) == after
        assert step.error is None

    def test_what_the_page_before_held_ends_a_walk_without_has_more(self) -> None:
        rule = IdRule()
        first = rule.advance(rule.start(), PageAnswer(items("a", "b")))
        assert rule.advance(first.state, PageAnswer(items("a", "b"))) == ([False, False], None, None)

    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(PageAnswer(items("x"), True, None, "b"), id="the same cursor again"),
            pytest.param(PageAnswer([], True), id="more, and nowhere to go on from"),
            pytest.param(PageAnswer([{"name": "no id"}], True), id="an item without an id"),
        ],
    )
    def test_a_cursor_that_does_not_move_stalls(self, answer: PageAnswer) -> None:
        step = IdRule().advance(IdState("b"), answer)
        assert isinstance(step.error, PaginationStalledError)
        assert all(step.unseen)

    @pytest.mark.parametrize("length", [1, 2, 3, 7, 50])
    @pytest.mark.parametrize("lead", [0, 1, 5])
    def test_a_circle_of_cursors_is_found(self, length: int, lead: int) -> None:
        rule = IdRule()
        state: Any = rule.start()
        for number in range(10 * (length + lead) + 10):
            cursor = f"c{number if number < lead else lead + (number - lead) % length}"
            step = rule.advance(state, PageAnswer(items(f"item-{number}"), True, None, cursor))
            if step.error is not None:
                return
            state = step.state
        pytest.fail("the circle was not found")


def test_single_page() -> None:
    rule = SinglePage()
    assert rule.query(None, {"a": 1}, 100) == {"a": 1}
    assert rule.advance(rule.start(), PageAnswer(items("a"))) == ([True], None, None)  # type: ignore[func-returns-value]
