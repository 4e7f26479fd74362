"""The measures of the sandbox, the measures that each legal profile demands, and the messages about them. No I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from proto.types import Profile
from services.sites.profiles import PROFILES, TRIAL, any_lasting

Measure = Literal[
    "core", "dumpable", "no-new-privileges", "landlock", "file-size", "telemetry", "freed-memory", "memory-lock"
]
State = Literal["applied", "absent", "refused"]
"""In force; not known to this kernel; known to it, but not in force."""
MEASURES: tuple[Measure, ...] = get_args(Measure)
STATES: tuple[State, ...] = get_args(State)

_ALWAYS: frozenset[Measure] = frozenset({"core", "dumpable"})
_OPTIONAL: frozenset[Measure] = frozenset({"memory-lock"})
"""Measures that a machine may refuse to users who are not its administrator: reported, and never demanded."""
_NOT_EVERYWHERE: frozenset[Measure] = frozenset({"landlock", "freed-memory"})
"""Measures that an old kernel or another C library than glibc lacks: reported if absent, demanded if available."""
_MEND: dict[Measure, str] = {
    "core": "let it lower its limit of core files (RLIMIT_CORE)",
    "dumpable": "let it call prctl(PR_SET_DUMPABLE)",
    "no-new-privileges": "let it call prctl(PR_SET_NO_NEW_PRIVS)",
    "file-size": "let it lower its limit of file sizes (RLIMIT_FSIZE)",
    "landlock": "let the container's seccomp profile permit landlock_create_ruleset, landlock_add_rule and"
    " landlock_restrict_self, as those of current container runtimes do",
    "telemetry": "do not import onnxruntime before the sandbox is entered",
    "freed-memory": "start it with MALLOC_PERTURB_=85 in its environment",
    "memory-lock": "raise the limit of locked memory (ulimit -l unlimited, LimitMEMLOCK=infinity), or have no swap",
}


@dataclass(frozen=True, slots=True)
class MeasureState:
    """The state of one measure, and its reason or extent."""

    state: State
    why: str = ""

    def __str__(self) -> str:
        """Return it as a log line shows it."""
        return f"{self.state}: {self.why}" if self.why else self.state


Findings = Mapping[Measure, MeasureState]


def demanded(profiles: Iterable[Profile]) -> frozenset[Measure]:
    """Return the measures that the strictest of these legal profiles demands.

    `lab`, for trials, demands that no core file is left and that no other process looks in. The others demand all
    measures but the locking of memory.
    """
    return frozenset(MEASURES) - _OPTIONAL if any_lasting(profiles) else _ALWAYS


def shortfalls(findings: Findings, profiles: Iterable[Profile]) -> list[str]:
    """Return the reasons why a service for these profiles must not run, each with what to do about it."""
    profiles = sorted(set(profiles))
    wanted = [measure for measure in MEASURES if measure in demanded(profiles)]
    named = ", ".join(profile for profile in profiles if not PROFILES[profile].is_trial) or TRIAL
    lacking = [
        f"the sandbox lacks {measure}, which profile {named} demands ({findings[measure]}); {_MEND[measure]}"
        for measure in wanted
        if findings[measure].state == "refused"
    ]
    absent = [measure for measure in wanted if findings[measure].state == "absent" and measure not in _NOT_EVERYWHERE]
    if absent and any_lasting(profiles):
        lacking.append(
            f"the sandbox needs Linux: {', '.join(absent)} are absent here, and profile {named} demands them; run it "
            f"there, or give every site the profile {TRIAL}, for trials"
        )
    return lacking


def not_in_force(findings: Findings) -> dict[Measure, str]:
    """Return the measures that are absent or refused, demanded or not, with the remedy; they are to be logged once."""
    return {
        measure: f"{finding}; {_MEND[measure]}" if finding.state == "refused" else str(finding)
        for measure, finding in findings.items()
        if finding.state != "applied"
    }
