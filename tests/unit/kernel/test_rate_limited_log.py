"""How often the same is logged: services.kernel.rate_limited_log."""

from services.kernel.rate_limited_log import AGAIN_NS, RateLimitedLog


def test_the_same_is_logged_once_a_minute():
    """Each key by itself, and again when its minute is over."""
    limited = RateLimitedLog()
    assert [limited.may(now, "cannes", "old") for now in (0, 1, AGAIN_NS - 1, AGAIN_NS, AGAIN_NS + 1)] == [
        True, False, False, True, False,
    ]  # fmt: skip
    assert limited.may(2, "cannes", "forged")
    assert limited.may(2, "nice", "old")


def test_keys_without_end_take_no_memory_without_end():
    """The oldest are forgotten."""
    limited = RateLimitedLog()
    assert all(limited.may(0, str(number)) for number in range(3_000))
    assert len(limited._logged) == 1_024
    assert not limited.may(1, "2999")
    assert limited.may(1, "0")
