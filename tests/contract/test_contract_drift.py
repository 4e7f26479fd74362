"""The record of a camera's day: internal, and coarser than what it is made of."""

import pytest
from golden import BY_TYPE
from msgspec import inspect, structs
from nats_match import overlap

from proto.codec import ContractError, decode, encode
from proto.drift import DriftCounts, DriftDayV1
from proto.permissions import ACCOUNTS, rights_of, user_of
from proto.sightings import PassageV1, SightingsV1, SightingV1
from proto.subjects import DRIFT, Account, Identity, stream

USERS = [(identity, account) for identity, accounts in ACCOUNTS.items() for account in accounts]
OTHERS = [user for user in USERS if user[0] != "aggregate"]


@pytest.mark.parametrize(("identity", "account"), OTHERS, ids=[user_of(*user) for user in OTHERS])
def test_nobody_but_aggregate_has_a_camera_s_days(identity: Identity, account: Account):
    """Neither subscribers nor notify nor operators read, write, list or make them, by no way that NATS has."""
    rights = rights_of(identity, account)
    subscribed = [p for p in rights.subscribe if overlap(p.split(" ")[0], DRIFT.wildcard())]
    published = [p for p in rights.publish if overlap(p, DRIFT.wildcard())]
    api = [p for p in rights.publish if p.startswith("$JS.") and ".DRIFT" in p]
    own = ["moretta.>"] if identity == "subscriber" else []  # in an account that has none of it
    assert (subscribed, published, api) == (own, [], [])


def test_aggregate_has_them():
    """The test above can fail: the same three ways are open to aggregate."""
    rights = rights_of("aggregate", "MORETTA")
    assert DRIFT.wildcard() in rights.subscribe
    assert DRIFT.wildcard() in rights.publish
    assert [p for p in rights.publish if p.startswith("$JS.") and ".DRIFT" in p]


def test_days_are_few_and_short_lived():
    """One record per camera and day, for as long as a baseline needs it: 16 days."""
    kept = stream("DRIFT")
    assert kept.subjects == ("moretta.v1.drift.*.*.*",)
    assert (kept.storage, kept.per_subject, kept.max_age_s) == ("file", 1, 16 * 86_400)
    assert not DRIFT.public


def test_a_day_holds_nothing_finer_than_a_day():
    """Of a sighting neither its box, its verdict nor its time, nothing of a single passage, and no model by name."""
    fields = {*DriftDayV1.__struct_fields__, *DriftCounts.__struct_fields__}
    finer = {*SightingV1.__struct_fields__, *SightingsV1.__struct_fields__, *PassageV1.__struct_fields__}
    of_the_stream = {"stream_created", "stream_sequence"}
    assert fields & finer == {"site", "camera", "model_sha256"} | of_the_stream


def test_histograms_hold_counts():
    """No histogram holds anything but how many, so that no single size or score can be read from it."""
    info = inspect.type_info(DriftCounts)
    lists = {f.name: f.type for f in info.fields if isinstance(f.type, inspect.ListType)}
    assert set(lists) == {"sizes", "scores"}
    assert all(isinstance(kind.item_type, inspect.IntType) and kind.item_type.ge == 0 for kind in lists.values())


@pytest.mark.parametrize("day", ["2026-11-24T10", "2026-11", "24.11.2026", "2026-11-24\n", "٢٠٢٦-١١-٢٤", ""])
def test_a_day_is_a_date(day: str):
    """Nothing finer than a day, and nothing that NATS would take for another subject, is written as one."""
    with pytest.raises(ContractError) as error:
        encode(DRIFT, structs.replace(BY_TYPE[DriftDayV1], day=day))
    assert error.value.path == "$.day"


def test_other_bins_are_no_breach():
    """A later version may count in other bins: a reader gets the record, and decides by its length."""
    counts = DriftCounts(model_sha256="a" * 64, unknown=0, sizes=[1] * 200, scores=[])
    other = structs.replace(BY_TYPE[DriftDayV1], models=[counts])
    assert decode(DRIFT, encode(DRIFT, other)) == other
