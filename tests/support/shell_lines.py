"""Command lines in documents: what they are, and whether the programs have such commands and options."""

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise

import typer
from typer.core import TyperGroup

from moretta.__main__ import app

_FENCED = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`((?:moretta|helm|kubectl|diff) [^`]+)`")
_SEPARATORS = {"|", "||", "&&", ";", "&", "(", ")", "<(", ">", "<", ">>", "\n"}

HELM = {
    "upgrade": {"--install", "--namespace", "--values", "--set", "--set-string", "--force-conflicts"},
    "rollback": {"--namespace"},
    "test": {"--namespace", "--logs"},
    "get": {"--namespace", "--revision"},
}
KUBECTL = {
    "apply": {"-f"},
    "create": {"--from-file", "--dry-run", "-o", "--value"},
    "delete": {"--cascade", "-l"},
    "exec": {"-c"},
    "get": {"-o", "-w"},
    "describe": set[str](),
    "patch": {"-p"},
    "port-forward": set[str](),
    "replace": {"-f"},
    "rollout": {"-l", "--timeout"},
    "scale": {"-l", "--replicas"},
    "taint": set[str](),
    "uncordon": set[str](),
}
"""Options that the documents use, beside `-n`; those of helm are compared with helm itself."""
_SHORT = {"-n": "--namespace", "-f": "--values"}


def lines_of(text: str) -> Iterator[list[str]]:
    """Yield each command line of a document as words: those in blocks, and those between backticks."""
    blocks = _FENCED.findall(text)
    inline = _INLINE.findall(_FENCED.sub("", text))
    for line in [*(line for block in blocks for line in block.splitlines()), *inline]:
        yield from _commands(line)


def _commands(line: str) -> Iterator[list[str]]:
    found = shlex.shlex(line, posix=True, punctuation_chars=True)
    found.commenters = "#"
    words: list[str] = []
    for word in [*found, ";"]:
        if word not in _SEPARATORS:
            words.append(word)
            continue
        if words and words[0] in {"moretta", "helm", "kubectl"}:
            yield words
        words = []


def complaint(words: list[str]) -> str:
    """Return why a command line is none; empty: it is one."""
    program, *rest = words
    return _of_moretta(rest) if program == "moretta" else _of_others(program, rest)


def _of_moretta(words: list[str]) -> str:
    command, name = typer.main.get_command(app), "moretta"
    try:
        while isinstance(command, TyperGroup) and words != ["--version"]:
            found, inner, words = command.resolve_command(command.context_class(command, info_name=name), words)
            assert inner is not None
            command, name = inner, f"{name} {found}"
        if words:  # else it is named only
            command.make_context(name, list(words))
    except typer.Exit:  # of --version
        return ""
    except Exception as error:  # of the parser, which typer shows in no public module
        return f"{name}: {getattr(error, 'message', None) or error}"
    return ""


def _of_others(program: str, words: list[str]) -> str:
    known = HELM if program == "helm" else KUBECTL
    while words[:1] == ["-n"]:
        words = words[2:]
    name, *rest = words[: words.index("--")] if "--" in words else words
    if name not in known:
        return f"{program} {name}: not known here"
    options = [one.partition("=")[0] for one in rest if re.match(r"--?[a-z]", one)]
    if program == "helm":
        options = [_SHORT.get(one, one) for one in options]
    strange = [one for one in options if one not in known[name] | ({"-n"} if program == "kubectl" else set())]
    return f"{program} {name}: no {strange}" if strange else ""


def values_set(words: list[str]) -> Iterator[str]:
    """Yield the paths that `--set` and `--set-string` of a line name."""
    for option, value in pairwise(words):
        if option in {"--set", "--set-string"}:
            yield from (one.partition("=")[0] for one in value.split(","))
