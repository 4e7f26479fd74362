"""How often a rule fires within days: computed as the rules themselves decide, and told in the documents."""

from functools import cache
from io import StringIO
from pathlib import Path

import messages
import numpy as np
import pytest
from rich.console import Console

from bench.rule_days import CLEAR_ABOVE, FIRE_BELOW, PEOPLE, SHARES, alarms, fired, judgements, table
from services.aggregate.core.rules.rate_rules import RuleState, fold
from services.inference.errors import read_errors
from services.inference.model import MODELS, load_model
from services.sites.settings import RuleSettings

ROOT = Path(__file__).parents[3]
ERRORS = read_errors(MODELS, load_model(None).sha256)
assert ERRORS is not None


@cache
def window(masked, start):
    """Return a window of as many people as the figures are of."""
    return messages.window(start * 20 * messages.MINUTE, masked, (PEOPLE - masked, 0, 0), model_errors=ERRORS)


@pytest.mark.parametrize("for_windows", [1, 2, 3])
def test_it_is_what_rules_do(for_windows):
    """Windows of a place drawn and folded into the rule fire as often as is computed, but for chance."""
    rule = RuleSettings(id="low", fire_below=FIRE_BELOW, clear_above=CLEAR_ABOVE, for_windows=for_windows)
    runs, windows, share, rng = 150, 40, 0.64, np.random.default_rng(1)
    alerts = []
    for _ in range(runs):
        state, found = RuleState(), 0
        for start, masked in enumerate(rng.binomial(PEOPLE, share, windows)):
            state, alert = fold(rule, state, window(int(masked), start))
            found += alert is not None and alert.state == "firing"
        alerts.append(found)
    breach, clear = judgements(np.array([share]), ERRORS)
    [ever], [mean] = fired(breach, clear, for_windows, windows)
    assert np.mean(np.array(alerts) > 0) == pytest.approx(ever, abs=4 * np.sqrt(ever * (1 - ever) / runs) + 1e-9)
    assert np.mean(alerts) == pytest.approx(mean, abs=4 * max(0.2, float(np.std(alerts))) / np.sqrt(runs))


def test_the_documents_have_these_figures():
    """The table in docs/operations.md, to the percent and to a hundredth."""
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    for share in SHARES:
        one, two = (alarms(share, for_windows, ERRORS) for for_windows in (1, 2))
        said = [f"{a.places:.0%}, {a.alerts:.2f}".replace("%", " %") for a in (one, two)]
        assert f"| {share:.0%} | ".replace("%", " %") + f"{said[0]} | {said[1]} |" in text
        Console(file=StringIO()).print(table([one, two]))
