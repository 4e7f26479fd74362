"""What is fixed before a run: the modules, the operators, what is never changed, the seed.

The operators are cosmic-ray's own. Three of its kinds are left out. RemoveDecorator dies at the import of whatever it
hits here (dataclass, property), which proves nothing about tests. Of the eleven replacements of each sign of arithmetic
one stands for all, and of those of each comparison two: its border and its opposite. VariableReplacer and
VariableInserter draw by chance.
"""

import tomllib
from pathlib import Path

_CONTRACTS = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())["tool"][
    "importlinter"
]["contracts"]
_PURE = next(one for one in _CONTRACTS if one["name"].startswith("a core has no I/O"))["source_modules"]

SEED = "moretta-1"
"""Another seed draws others."""
DRAWN = 300
WANTED = 0.9
"""The share of the drawn mutants that tests must kill."""
MAX_EQUIVALENT = 0.05

PARTS = {
    "aggregate": ("services/aggregate/core/**/*.py",),
    "notify": tuple(
        f"{name.replace('.', '/')}{end}"
        for name in _PURE
        if name.startswith("services.notify.")
        for end in (".py", "/*.py")
    ),
    "ingest": ("services/ingest/core/*.py",),
    "inference": ("services/inference/core/*.py",),
    "evaluation": tuple(
        f"modelling/evaluation/{name}.py" for name in ("breakdown", "errors", "interval_check", "outcomes", "scoring")
    ),
    "leases": ("services/leases/assignment.py",),
    "fair": ("services/bus/service/fair_queue.py",),
    "policies": tuple(
        f"services/{name}.py"
        for name in (
            "frames/budget",
            "destinations",
            "privacy/steps",
            "statistics/calendar",
            "statistics/rate_interval",
            "statistics/proportions",
            "statistics/roll_ups",
        )
    ),
}
"""The pure cores. services/frames/sealing/keys.py is none: it makes keys by chance, and no seed is an argument."""

TESTS = (
    "tests/unit/aggregate", "tests/unit/notify", "tests/unit/ingest", "tests/unit/inference", "tests/unit/evaluation",
    "tests/unit/leases", "tests/unit/kernel", "tests/unit/budget", "tests/unit/destinations", "tests/unit/privacy",
    "tests/unit/sites", "tests/unit/statistics",
)  # fmt: skip
"""The tests that may kill: those of the services and libraries that the cores belong to, so none of a command."""

_COMPARISONS = (
    "Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is",
    "Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt", "Gt_GtE", "Gt_LtE", "GtE_Gt", "GtE_Lt",
)  # fmt: skip
_SIGNS = (
    "Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mul", "Mod_Mul", "Pow_Mul", "LShift_RShift", "RShift_LShift",
    "BitOr_BitAnd", "BitAnd_BitOr", "BitXor_BitAnd",
)  # fmt: skip
OPERATORS = (
    *(f"ReplaceComparisonOperator_{name}" for name in _COMPARISONS),
    *(f"ReplaceBinaryOperator_{name}" for name in _SIGNS),
    "ReplaceUnaryOperator_USub_UAdd", "ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_Delete_Invert",
    "AddNot", "ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue",
    "ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ZeroIterationForLoop", "ExceptionReplacer",
    "NumberReplacer",
)  # fmt: skip

SKIPPED_KEYWORDS = frozenset({"slots", "frozen", "kw_only", "dict", "gc", "strict", "maxsize", "stacklevel"})
"""Arguments that say how a value is stored, or (`strict` of zip) assert what cannot be otherwise.

Annotations and aliases of types are skipped as well (see `making.skipped`): nothing runs them.
"""
