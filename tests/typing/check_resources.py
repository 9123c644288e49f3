"""Results of a resource method that disagree with its operation are type errors: each `ignore` here must be needed."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import Final

from voucherify_async._transport.operation import Operation
from voucherify_async.models import AccessToken, Customer, CustomerActivity, Segment
from voucherify_async.pagination import Pager, SinglePage
from voucherify_async.resources._base import Resource

_GET: Final = Operation("things.get", "GET", "/v1/things/{thing_id}", AccessToken)
_LIST: Final = Operation("things.list", "GET", "/v1/things", CustomerActivity)


class ThingsResource(Resource):
    async def get(self, thing_id: str) -> AccessToken:
        return await self._call(_GET, thing_id=thing_id)

    async def get_wrong(self, thing_id: str) -> Customer:
        return await self._call(_GET, thing_id=thing_id)  # type: ignore[arg-type]

    def list(self) -> Pager[CustomerActivity]:
        return self._list(_LIST, "things", SinglePage(), limit=None, cursor=None)

    def list_wrong(self) -> Pager[Segment]:
        return self._list(_LIST, "things", SinglePage(), limit=None, cursor=None)  # type: ignore[arg-type]
