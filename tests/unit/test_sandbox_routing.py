"""Bodies of requests to the sandbox, taken apart without a server."""

from __future__ import annotations

import pytest

from voucherify_async.sandbox.errors import ApiError
from voucherify_async.sandbox.routing import Call, read_file


@pytest.mark.parametrize(
    "body",
    [
        b"--b\r\n\r\n\r\n" * 300_000 + b"--b--",
        b"--b\r\nContent-Disposition: form-data; name=" + b"(" * 50_000 + b"\r\n\r\nx\r\n--b--",
    ],
    ids=["many parts", "nested comments"],
)
def test_a_multipart_body_that_takes_too_much_is_refused(body: bytes) -> None:
    call = Call(
        method="POST",
        segments=(),
        query=[],
        content_type="multipart/form-data; boundary=b",
        body=body,
        request_id="v-1",
    )
    with pytest.raises(ApiError) as caught:
        read_file(call)
    assert (caught.value.status, caught.value.key) == (400, "invalid_body")
