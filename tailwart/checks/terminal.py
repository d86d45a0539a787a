"""An outcome in the terminal: the verdict first, then what to do, then a line for each plane. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tailwart.checks.doctor import PLANES, Outcome
from tailwart.checks.model import Result, Severity, Verdict
from tailwart.dns.check.findings import Finding
from tailwart.printing import printable, style

_SIGNS = {
    Verdict.FAILED: ("FAILED", "red"),
    Verdict.UNKNOWN: ("could not look", "yellow"),
    Verdict.PASSED: ("passed", "green"),
    Verdict.SKIPPED: ("not applicable", "bright_black"),
}


def render(outcome: Outcome, *, colour: bool = False, everything: bool = False) -> str:
    """The report; ``everything`` lists what passed and what does not apply as well."""
    lines = [verdict(outcome)]
    for item in _ordered(outcome.of(Verdict.FAILED, Verdict.UNKNOWN)):
        lines += ["", *_entry(item, colour)]
    lines.append("")
    for plane in dict.fromkeys([*PLANES, *(item.check.plane for item in outcome.results)]):
        found = [item for item in outcome.results if item.check.plane == plane]
        if not found:
            continue
        hosts = len({item.host for item in found})
        counts = ", ".join(
            f"{len(matching)} {name.value}"
            for name in Verdict
            if (matching := [item for item in found if item.verdict is name])
        )
        lines.append(f"{plane:<8} {counts}" + (f" ({hosts} hosts)" if hosts > 1 else ""))
        if everything:
            lines += [
                f"  {_sign(item.verdict, colour)}  {item.check.id}  {item.check.title}{_where(item)}"
                + (f": {item.seen[0]}" if item.verdict is Verdict.SKIPPED and item.seen else "")
                for item in found
            ]
    if everything:
        lines += [f"key      {key}" for key in outcome.keys]
    lines += [f"skipped  {text}" for text in outcome.absent]
    lines += ["", _next(outcome)]
    return "\n".join(lines)


def table(outcome: Outcome, findings: Sequence[Finding], areas: Callable[[Result], Sequence[str]]) -> str:
    """What a stranger sees: a row for each test, then everything that was looked at; ``areas`` are those of a test."""
    width = max(len(_name(item)) for item in outcome.results)
    lines = [verdict(outcome), ""]
    lines += [f"{_name(item):<{width}}  {item.verdict.value:<14}  {item.check.title}" for item in outcome.results]
    for item in outcome.results:
        found = [each for each in findings if each.area in areas(item)]
        if found or item.verdict is Verdict.UNKNOWN:
            lines += ["", f"{_name(item)}: {item.verdict.value}"]
        lines += [f"  {each.state.value:<8}{each.subject}: {printable(each.detail)}" for each in found]
        if not found and item.verdict is Verdict.UNKNOWN:
            lines += _labelled("seen", item.seen)
        if item.verdict is Verdict.FAILED:
            lines += [*_labelled("cause", (item.check.why,)), *_labelled("remedy", (item.remedy,))]
    first = next(iter(_ordered(outcome.of(Verdict.FAILED))), None)
    return "\n".join([*lines, "", f"Next: {first.remedy}" if first else "Nothing to do."])


def _name(item: Result) -> str:
    return item.check.id.partition(".")[2]


def verdict(outcome: Outcome) -> str:
    """One line: how many checks, and how they ended."""
    failed = outcome.of(Verdict.FAILED)
    required = sum(item.fails for item in failed)
    looked = len(outcome.results) - len(outcome.of(Verdict.SKIPPED))
    parts = [f"{looked} checks in {outcome.seconds:.1f} s"]
    if failed:
        parts.append(f"{len(failed)} failed ({required} of them required)")
    if unknown := outcome.of(Verdict.UNKNOWN):
        parts.append(f"{len(unknown)} could not look")
    return f"{', '.join(parts)}." if len(parts) > 1 else f"All {parts[0]} passed."


def _ordered(found: list[Result]) -> list[Result]:
    """What is required first, and what failed before what is not known."""
    return sorted(
        found, key=lambda item: (item.check.severity is not Severity.REQUIRED, item.verdict is not Verdict.FAILED)
    )


def _entry(item: Result, colour: bool) -> Iterator[str]:
    advice = "" if item.check.severity is Severity.REQUIRED else " (recommended)"
    yield f"{_sign(item.verdict, colour)}  {item.check.id}{_where(item)}: {item.check.title}{advice}"
    yield from _labelled("seen", item.seen)
    if item.verdict is Verdict.FAILED and item.check.why:
        yield from _labelled("cause", (item.check.why,))
    if item.check.lesson is not None:
        yield from _labelled("lesson", (f"{item.check.lesson} (docs/lessons.md)",))
    if item.remedy:
        yield from _labelled("remedy", (item.remedy,))


def _labelled(label: str, texts: tuple[str, ...]) -> Iterator[str]:
    for number, text in enumerate(texts):
        yield f"  {label + ':' if not number else '':<9}{text}"


def _where(item: Result) -> str:
    return f" [{item.host}]" if item.check.plane == "edge" else ""


def _sign(name: Verdict, colour: bool) -> str:
    text, paint = _SIGNS[name]
    return style(text, fg=paint) if colour else text


def _next(outcome: Outcome) -> str:
    first = next(iter(_ordered([item for item in outcome.of(Verdict.FAILED, Verdict.UNKNOWN) if item.remedy])), None)
    if first is None:
        return "Nothing to do." if not outcome.of(Verdict.UNKNOWN) else "Next: look at what could not be looked at."
    return f"Next: {first.remedy}\nThen: tailwart doctor --only {first.check.id}"
