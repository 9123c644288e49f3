"""What all walks over a list have in common. No I/O.

A *walk* is a generator. It yields the query of a request and is sent the `PageAnswer`; or it yields a `Batch`
of items to deliver and is sent nothing. It ends at the end of the list, and raises `PaginationError` where it
cannot go on. Whoever drives it makes the requests, so a walk that waits for an answer can wait for it again.

A *state* says where a list goes on after an item that was delivered. It is small and can be encoded: a cursor
is one, sealed. What only the process that walks needs to know is in the local variables of the generator.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from voucherify_async._transport.operation import Query
from voucherify_async.errors import PaginationError, PaginationStalledError
from voucherify_async.models.base import is_mapping

__all__ = [
    "DEFAULT_PAGE_SIZE",
    "MAX_IDLE_PAGES",
    "MAX_PAGE",
    "MAX_PAGE_SIZE",
    "Batch",
    "PageAnswer",
    "Rule",
    "SinglePage",
    "Step",
    "Walk",
    "WalkRule",
    "check_progress",
    "follow",
    "item_id",
    "mark_of",
    "marks_of",
]

S = TypeVar("S")

MAX_PAGE: Final = 99
"""The highest page number that the service takes."""
MAX_PAGE_SIZE: Final = 100
"""The most items that the service puts on a page."""
DEFAULT_PAGE_SIZE: Final = 10
"""How many items the service puts on a page when it is not asked for a number."""
MAX_IDLE_PAGES: Final = 20
"""Pages in a row without a new item after which a walk is stalled. A filter may leave pages empty on the way."""

_MARK_BYTES: Final = 6
"""Among the 10,000 items that can share an instant, two have the same mark once in six million walks."""


class PageAnswer(NamedTuple):
    """The parts of an answer that a walk reads.

    Attributes:
        items: The decoded items. One that could not be decoded has the attributes `id` and `created_at`.
        has_more: What the service says; `None` if it does not.
        total: How many items there are in all, if the service says.
        more_starting_after: The id to go on after, if the service says.
        limit: The page size asked for; `None` if none was.
    """

    items: Sequence[Any]
    has_more: bool | None = None
    total: int | None = None
    more_starting_after: str | None = None
    limit: int | None = None


class Step(NamedTuple):
    """What a rule makes of an answer.

    Attributes:
        unseen: For each item whether it is to be delivered.
        state: Where to go on; `None` at the end.
        error: Why the walk cannot go on. The unseen items are delivered before it is raised.
    """

    unseen: Sequence[bool]
    state: Any
    error: PaginationError | None = None


class Rule(Protocol[S]):
    """How to walk a list. Write one of your own for a list that needs it, and give it to `paginate`.

    A walk by a rule of your own ends with `PaginationStalledError` after 20 answers in a row of which the
    rule delivers nothing.

    Attributes:
        name: Goes into cursors, so that they are refused by another rule.
        state_type: The type of the states: anything that msgspec can encode and decode.
    """

    name: str
    state_type: Any

    def start(self) -> S:
        """The state before the first request."""
        ...

    def query(self, state: S, base: Query, limit: int | None) -> Query:
        """The query of the next request: the caller's (`base`) and what the walk adds."""
        ...

    def advance(self, state: S, page: PageAnswer) -> Step:
        """What to deliver of an answer, and where to go on."""
        ...


class Batch:
    """Items to deliver, in order.

    Attributes:
        items: The items.
        cut: The state after so many of them; after all of them it is where the walk itself goes on.
        more: Whether something certainly comes after them; `None` if that is not known.
        total: What the service says of the length of the list; `None` if it does not.
        stuck: The service gave an empty page and says that there is more.
    """

    __slots__ = ("cut", "items", "more", "stuck", "total")

    def __init__(
        self,
        items: Sequence[Any],
        cut: Callable[[int], Any],
        *,
        more: bool | None = None,
        total: int | None = None,
        stuck: bool = False,
    ) -> None:
        self.items = items
        self.cut = cut
        self.more = more
        self.total = total
        self.stuck = stuck


Walk = Generator[Query | Batch, PageAnswer, None]
"""A walk that is under way; see the module's docstring. What is sent after a `Batch` is ignored."""


class WalkRule(Protocol):
    """A rule as this package has them: it makes the walk itself.

    Attributes:
        name: Goes into cursors, so that they are refused by another rule.
        state_type: The type of the states.
    """

    name: str
    state_type: Any

    def walk(self, state: Any, base: Query, limit: int | None, *, stream: bool) -> Walk:
        """Begin a walk.

        Args:
            state: Where to go on; `None` for the beginning of the list.
            base: The caller's query.
            limit: The size of the pages that the caller wants; `None` leaves it to the service.
            stream: Whether the whole list will be read, or only as much as a page takes.
        """
        ...


class _RuleState(msgspec.Struct, Generic[S], frozen=True, array_like=True):
    """Attributes: the state of the rule, and how many of the items it delivers from there to leave out."""

    state: S
    skip: int = 0


class _Followed:
    """Adapts a rule of the caller's: makes walks of it."""

    def __init__(self, rule: Rule[Any]) -> None:
        self._rule = rule
        self.name = rule.name
        generic: Any = _RuleState
        self.state_type: Any = generic[rule.state_type]

    def walk(self, state: Any, base: Query, limit: int | None, *, stream: bool) -> Walk:  # noqa: ARG002  # the protocol's
        """Ask and advance until the rule has no state to go on with."""
        here = self._rule.start() if state is None else state.state
        skip = 0 if state is None else state.skip
        idle = 0
        while True:
            page = yield self._rule.query(here, base, limit)
            step = self._rule.advance(here, page)
            if len(step.unseen) != len(page.items):
                raise ValueError(f"the rule {self.name!r} must say of every item whether it is unseen")
            items = [item for item, unseen in zip(page.items, step.unseen, strict=True) if unseen][skip:]
            yield Batch(
                items,
                self._cut(here, skip, len(items), step.state),
                more=False if step.state is None else page.has_more or None,
                total=page.total,
                stuck=not page.items and bool(page.has_more),
            )
            if step.error is not None:
                raise step.error
            if step.state is None:
                return
            idle = 0 if items else idle + 1
            check_progress(idle)
            here, skip = step.state, 0
            del page, step, items  # before the next one comes, which can take their memory then

    @staticmethod
    def _cut(here: Any, skip: int, count: int, following: Any) -> Callable[[int], Any]:
        return lambda number: (
            _RuleState(following) if number == count and following is not None
            else _RuleState(here, skip + number)
        )  # fmt: skip


class SinglePage:
    """A list that comes whole."""

    name: str = "single"
    state_type: Any = int

    def walk(self, state: int | None, base: Query, limit: int | None, *, stream: bool) -> Walk:  # noqa: ARG002  # the protocol's
        """Ask once. The state is the number of items that were delivered."""
        skip = state or 0
        page = yield base
        yield Batch(page.items[skip:], lambda count: skip + count, more=False, total=page.total)


def follow(rule: Rule[Any] | WalkRule) -> WalkRule:
    """The rule as one that makes walks."""
    walks: Any = rule
    return walks if hasattr(rule, "walk") else _Followed(walks)


def check_progress(idle: int) -> None:
    """End a walk that goes on without finding anything."""
    if idle >= MAX_IDLE_PAGES:
        raise PaginationStalledError(
            f"{idle} pages in a row held nothing new, and the service says that there is more: "
            f"narrow the list by another filter, for example by dates"
        )


def item_id(item: Any) -> str | None:
    """An item's own id, decoded or not."""
    found = item.get("id") if is_mapping(item) else getattr(item, "id", None)
    return found if isinstance(found, str) else None


def mark_of(item: Any) -> bytes:
    """Six bytes that stand for an item in a cursor, which is to be short and to have no ids."""
    found = item_id(item)
    content = repr(item) if found is None else found
    return hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=_MARK_BYTES).digest()


def marks_of(items: Iterable[Any]) -> list[bytes]:
    """The marks of some items."""
    return list(map(mark_of, items))
