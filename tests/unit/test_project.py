from __future__ import annotations

from tests.support.clocks import FakeClock
from voucherify_async import AdaptiveRateLimiter, ApiKeys, LocalRateLimiter, OAuthClientCredentials
from voucherify_async._transport.project import Projects
from voucherify_async._transport.rate_limit import limiter_for_project


def test_the_project_that_was_used_least_recently_is_forgotten() -> None:
    projects = Projects(FakeClock())
    first, second = (projects.get(ApiKeys(name, "secret"), None) for name in ("first", "second"))
    for number in range(999):
        projects.get(ApiKeys(str(number), "secret"), None)
        assert projects.get(ApiKeys("first", "secret"), None) is first
    assert projects.get(ApiKeys("second", "secret"), None) is not second
    assert projects.get(ApiKeys("first", "secret"), None) is first


def test_equal_credentials_have_one_token() -> None:
    projects = Projects(FakeClock())
    first, second = (projects.get(OAuthClientCredentials("id", "secret"), None) for _ in range(2))
    assert first.auth is second.auth
    assert projects.get(OAuthClientCredentials("id", "another"), None).auth is not first.auth


def test_a_limiter_of_the_package_is_made_anew_with_its_settings() -> None:
    class Own(AdaptiveRateLimiter):
        """A limiter of the user's."""

    clock, adaptive, own = FakeClock(), AdaptiveRateLimiter(), Own()
    made = limiter_for_project(adaptive, clock)
    assert type(made) is AdaptiveRateLimiter
    assert made is not adaptive
    assert repr(limiter_for_project(LocalRateLimiter(5, 60), clock)) == "LocalRateLimiter(5, 60)"
    assert limiter_for_project(own, clock) is own
    assert limiter_for_project(None, clock) is None
