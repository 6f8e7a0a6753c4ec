"""The remedies of a report's findings, each step printed once: later ones refer to it."""

from collections.abc import Sequence

from vxlanalyze.text import commands
from vxlanalyze.text.words import listed


class PrintedRemedies:
    """What earlier findings advise, by the number of the finding and of the step."""

    def __init__(self) -> None:
        self._paragraphs: dict[str, int] = {}
        self._steps: dict[str, tuple[int, int]] = {}

    def add(self, finding: int, remedy: str) -> str:
        """Give a remedy with references in place of what an earlier finding has."""
        lines: list[str] = []
        for sentences, run in commands.parts(remedy):
            earlier = self._earlier(run)
            new = [line for line in sentences if line not in self._paragraphs]
            if earlier is not None:
                lines += [*new, f"{earlier[:1].upper()}{earlier[1:]}."]
            else:
                first = next((self._paragraphs[s] for s in sentences if s in self._paragraphs), None)
                lines += [*([] if first is None else [f"As under {first}."]), *new, *run]
        self._keep(finding, "\n".join(lines))
        return "\n".join(lines)

    def _earlier(self, run: Sequence[str]) -> str | None:
        """Name the steps of one earlier finding that are all of a run of commands."""
        places = [self._steps.get(command) for command in run]
        known = [place for place in places if place is not None]
        if not known or len(known) < len(run) or len({finding for finding, _ in known}) > 1:
            return None
        numbers = sorted({number for _, number in known})
        steps = f"step {numbers[0]}" if len(numbers) == 1 else f"steps {listed(numbers, len(numbers))}"
        return f"{steps} under {known[0][0]}"

    def _keep(self, finding: int, remedy: str) -> None:
        before = 0  # steps of the parts before
        for sentences, run in commands.parts(remedy):
            for sentence in sentences:
                self._paragraphs.setdefault(sentence, finding)
            shown = [step.command for step in commands.merged_steps("\n".join(run))]
            for line, step in zip(run, commands.steps("\n".join(run)), strict=True):
                self._steps.setdefault(line, (finding, before + 1 + shown.index(step.command)))
            before += len(shown)
