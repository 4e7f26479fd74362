"""How often the same is logged: services.kernel.seldom."""

from services.kernel.seldom import AGAIN_NS, Seldom


def test_the_same_is_logged_once_a_minute():
    """Each key by itself, and again when its minute is over."""
    seldom = Seldom()
    assert [seldom.may(now, "cannes", "old") for now in (0, 1, AGAIN_NS - 1, AGAIN_NS, AGAIN_NS + 1)] == [
        True, False, False, True, False,
    ]  # fmt: skip
    assert seldom.may(2, "cannes", "forged")
    assert seldom.may(2, "nice", "old")


def test_keys_without_end_take_no_memory_without_end():
    """The oldest are forgotten."""
    seldom = Seldom()
    assert all(seldom.may(0, str(number)) for number in range(3_000))
    assert len(seldom._logged) == 1_024
    assert not seldom.may(1, "2999")
    assert seldom.may(1, "0")
