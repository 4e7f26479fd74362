"""Whether a copy keeps up, by two looks at what JetStream says of it."""

import pytest

from operate.nats.copy_lag import Info, behind, late

SECOND = 1_000_000_000


def one(lag: int = 0, active: int = SECOND // 2, **more: object) -> Info:
    return {"name": "WINDOWS", "lag": lag, "active": active, **more}


@pytest.mark.parametrize(
    ("looks", "phrase"),
    [
        ([one(), one(), one()], ""),
        ([one(5), one(3), one()], ""),
        ([one(5), one(3), one(3)], ""),
        ([one(), one(5), one(5)], ""),
        ([one(5), one(5), one(7)], "has 7 messages of WINDOWS to come"),
        ([one(active=SECOND), one(active=4 * SECOND), one(active=7 * SECOND)], "hears nothing of WINDOWS"),
        ([one(active=5 * SECOND), one(active=8 * SECOND), one(active=SECOND)], "hears nothing of WINDOWS"),
        ([one(active=9 * SECOND), one(active=2 * SECOND), one(active=5 * SECOND)], "hears nothing of WINDOWS"),
        ([one(active=-1), one(active=-1), one(active=-1)], "hears nothing of WINDOWS"),
        ([one(active=-1), one(), one()], ""),
        ([one(), one(), one(error={"description": "full"})], "cannot copy WINDOWS: full"),
    ],
)
def test_one_that_stands_still_is_reported(looks: list[Info], phrase: str):
    """Whose lag does not shrink, or who hears nothing between two looks, whenever the server asks anew (10 s)."""
    assert behind([{"mirror": each} for each in looks]) == ([phrase] if phrase else [])
    assert behind([{"config": {}} for _ in looks]) == []


async def test_several_sources_are_each_reported(monkeypatch: pytest.MonkeyPatch):
    """One site's subjects come, the other's do not; a stream that copies nothing is looked at once."""
    monkeypatch.setattr("operate.nats.copy_lag.INTERVAL_S", 0.001)
    looks: list[str] = []

    async def look(name: str) -> Info:
        looks.append(name)
        if name == "ALERTS":
            return {"config": {}}
        moving = one(lag=9 - len(looks), filter_subject="moretta.v1.windows.nice.*")
        return {"sources": [moving, one(lag=3, filter_subject="moretta.v1.windows.cannes.*")]}

    found = await late(look, ["WINDOWS", "ALERTS"])
    assert found == {"WINDOWS": ["has 3 messages of WINDOWS (moretta.v1.windows.cannes.*) to come"]}
    assert looks == ["ALERTS", *["WINDOWS"] * 3]
    assert await late(look, ["ALERTS"]) == {}
