"""Rules and walks: how every list is read. No I/O.

A *rule* knows how one kind of list is paginated: by page number, by the last id, by timestamp.
`WalkRule.walk` starts a *walk*, which reads one list once.

A walk is a generator. It yields two kinds of values:

- A query: the caller makes the request and sends the `PageAnswer` into the generator.
- A `Batch` of items to deliver: the caller sends nothing.

It returns at the end of the list and raises `PaginationError` if it cannot continue. The caller makes the requests,
so a request that failed or was cancelled can be repeated while the walk is suspended.

A *state* is the point after a delivered item from which a later walk resumes. It is small and can be encoded with
msgspec: a cursor is an encoded state. Data that is needed only
while the walk runs, such as the ids seen so far, is in the local variables of the generator.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from voucherify_async._transport.operation import Query
from voucherify_async.errors import PaginationError, PaginationStalledError
from voucherify_async.models._json import is_mapping

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
    "as_walk_rule",
    "check_progress",
    "item_digest",
    "item_digests",
    "item_id",
]

S = TypeVar("S")

MAX_PAGE: Final = 99
"""The highest page number that the service accepts."""
MAX_PAGE_SIZE: Final = 100
"""The largest page size that the service accepts."""
DEFAULT_PAGE_SIZE: Final = 10
"""The page size of the service when the request has no `limit`."""
MAX_IDLE_PAGES: Final = 20
"""Consecutive pages without a new item after which a walk is stalled. Filters can make single pages empty."""

_DIGEST_BYTES: Final = 6
"""Two of 10,000 items with the same timestamp have equal digests once in six million walks."""


class PageAnswer(NamedTuple):
    """The fields of a list response that a rule reads.

    Attributes:
        items: The decoded items. An item that could not be decoded has the attributes `id` and `created_at`.
        has_more: The `has_more` of the response; `None` if it is missing.
        total: The `total` of the response; `None` if it is missing.
        more_starting_after: The id after which the next page starts; `None` if the response has none.
        limit: The page size of the request; `None` if the request had none.
    """

    items: Sequence[Any]
    has_more: bool | None = None
    total: int | None = None
    more_starting_after: str | None = None
    limit: int | None = None


class Step(NamedTuple):
    """The result of `Rule.advance`.

    Attributes:
        unseen: One bool per item of the response: true for the items to deliver.
        state: The state for the next request; `None` at the end of the list.
        error: The error that ends the walk, if any. It is raised after the unseen items are delivered.
    """

    unseen: Sequence[bool]
    state: Any
    error: PaginationError | None = None


class Rule(Protocol[S]):
    """The protocol for custom pagination rules; pass an instance to `VoucherifyClient.paginate`.

    The walk raises `PaginationStalledError` after 20 consecutive responses without an unseen item.

    Attributes:
        name: The name of the rule. It is stored in cursors: a rule with another name rejects them.
        state_type: The type of the states: any type that msgspec can encode and decode.
    """

    name: str
    state_type: Any

    def start(self) -> S:
        """Return the state before the first request."""
        ...

    def query(self, state: S, base: Query, limit: int | None) -> Query:
        """Return the query of the next request: the caller's query (`base`) plus the pagination parameters."""
        ...

    def advance(self, state: S, page: PageAnswer) -> Step:
        """Select the items of a response to deliver, and return the state for the next request."""
        ...


class Batch:
    """Items to deliver, in order.

    Attributes:
        items: The items.
        cut: Returns the state after the first n items. For n = `len(items)` that is the state of the walk itself.
        more: Whether more items follow; `None` if that is unknown.
        total: The `total` of the response; `None` if it is missing.
        stuck: Whether the response was empty and had `has_more: true`.
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
"""A running walk; the module docstring explains the protocol. A value sent in reply to a `Batch` is ignored."""


class WalkRule(Protocol):
    """The protocol of the built-in rules: a rule that creates the walk itself.

    Attributes:
        name: The name of the rule. It is stored in cursors: a rule with another name rejects them.
        state_type: The type of the states: any type that msgspec can encode and decode.
    """

    name: str
    state_type: Any

    def walk(self, state: Any, base: Query, limit: int | None, *, stream: bool) -> Walk:
        """Start a walk.

        Args:
            state: The state to resume from; `None` for the beginning of the list.
            base: The caller's query.
            limit: The page size that the caller wants; `None` for the default of the service.
            stream: Whether the caller reads the whole list rather than a single page.
        """
        ...


class _RuleState(msgspec.Struct, Generic[S], frozen=True, array_like=True):
    """The state of an adapted rule.

    Attributes:
        state: The state of the rule itself.
        skip: How many items delivered from that state to skip, as they were on the previous page.
    """

    state: S
    skip: int = 0


class _RuleAdapter:
    """Makes a `WalkRule` of a `Rule`."""

    def __init__(self, rule: Rule[Any]) -> None:
        self._rule = rule
        self.name = rule.name
        generic: Any = _RuleState
        self.state_type: Any = generic[rule.state_type]

    def walk(self, state: Any, base: Query, limit: int | None, *, stream: bool) -> Walk:  # noqa: ARG002  # required by the protocol
        """Make requests and advance the rule until it returns no next state."""
        current = self._rule.start() if state is None else state.state
        skip = 0 if state is None else state.skip
        idle = 0
        while True:
            page = yield self._rule.query(current, base, limit)
            step = self._rule.advance(current, page)
            if len(step.unseen) != len(page.items):
                raise ValueError(f"rule {self.name!r} must return one `unseen` value for each item")
            items = [item for item, unseen in zip(page.items, step.unseen, strict=True) if unseen][skip:]
            yield Batch(
                items,
                self._cut(current, skip, len(items), step.state),
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
            current, skip = step.state, 0
            del page, step, items  # free their memory before the next response arrives

    @staticmethod
    def _cut(current: Any, skip: int, count: int, following: Any) -> Callable[[int], Any]:
        return lambda number: (
            _RuleState(following) if number == count and following is not None
            else _RuleState(current, skip + number)
        )  # fmt: skip


class SinglePage:
    """The rule for a list that has only one page.

    Attributes:
        name: The name of the rule, which is stored in cursors.
        state_type: The type of the rule's states.
    """

    name: str = "single"
    state_type: Any = int

    def walk(self, state: int | None, base: Query, limit: int | None, *, stream: bool) -> Walk:  # noqa: ARG002  # required by the protocol
        """Make one request. The state is the number of items delivered so far."""
        skip = state or 0
        page = yield base
        yield Batch(page.items[skip:], lambda count: skip + count, more=False, total=page.total)


def as_walk_rule(rule: Rule[Any] | WalkRule) -> WalkRule:
    """Return the rule itself if it is a `WalkRule`, else an adapter for it."""
    either: Any = rule
    return either if hasattr(rule, "walk") else _RuleAdapter(either)


def check_progress(idle: int) -> None:
    """Raise `PaginationStalledError` after too many consecutive pages without a new item."""
    if idle >= MAX_IDLE_PAGES:
        raise PaginationStalledError(
            f"{idle} consecutive pages had no new items, but the service reports more: "
            f"narrow the list with another filter, for example by date"
        )


def item_id(item: Any) -> str | None:
    """The `id` of an item, decoded or not; `None` if it has none."""
    found = item.get("id") if is_mapping(item) else getattr(item, "id", None)
    return found if isinstance(found, str) else None


def item_digest(item: Any) -> bytes:
    """Six bytes that identify an item in a cursor: short, and without revealing the id."""
    found = item_id(item)
    content = repr(item) if found is None else found
    return hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()


def item_digests(items: Iterable[Any]) -> list[bytes]:
    """The digest of each item."""
    return list(map(item_digest, items))
