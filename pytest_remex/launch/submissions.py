"""What one sbatch submits: a run, a job array or a pack of runs; and the cost of a launch."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich import filesize

from pytest_remex.common import parts
from pytest_remex.common.grouping import grouped
from pytest_remex.display import counted
from pytest_remex.errors import SweepError
from pytest_remex.launch.candidate import Candidate
from pytest_remex.launch.dependency import (
    Dependency,
    clusters_option,
    dependency_option,
    fits_array,
    waiting_key,
)
from pytest_remex.launch.options import Grouping, GroupingKind
from pytest_remex.records.schema import RunRecord
from pytest_remex.repo.identity import Footprint
from pytest_remex.sbatch.options import read_options
from pytest_remex.sbatch.script import Header, core_hours, has_comment

ALIKE = 100
"""Jobs that ask for the same, above which an array is worth a word."""


def array_advice(headers: Iterable[Header], grouping: Grouping) -> str:
    """Return the advice for many jobs with equal requests; empty if there is none."""
    most = max(Counter(headers).values(), default=0)
    if grouping.kind is not GroupingKind.SINGLE or most <= ALIKE:
        return ""
    return (
        f"{most} of these jobs ask for the same: --remex-array submits such jobs as job arrays, "
        f"each by one request to Slurm's controller"
    )


class Submission(NamedTuple):
    """What one sbatch submits. `key` identifies it in its launch, even after a crash."""

    key: str
    runs: tuple[RunRecord, ...]
    kind: GroupingKind

    @property
    def shas(self) -> list[str]:
        """The commits of its runs."""
        return [run.commit.sha for run in self.runs]

    def request(
        self,
        grouping: Grouping,
        scripts: Mapping[str, str],
        dependencies: Mapping[str, Dependency],
        *,
        in_doubt: bool,
    ) -> parts.WantedSubmission:
        """Return it in the form of the protocol.

        Args:
            grouping: How runs are grouped.
            scripts: The blob of each run's script, by commit.
            dependencies: The upstreams of runs, by commit.
            in_doubt: Whether it may have been submitted before.
        """
        first = self.runs[0]
        limit = grouping.limit if grouping.kind is self.kind else 0
        sha_or_key = first.commit.sha if self.kind is GroupingKind.SINGLE else self.key
        upstreams = {
            run.directory: dependencies[sha]
            for run in self.runs
            if (sha := run.commit.sha) in dependencies
        }
        checks = {name: check for name, each in upstreams.items() if (check := each.to_check)}
        return parts.WantedSubmission(
            key=self.key,
            directories=[run.directory for run in self.runs],
            comment="" if has_comment(first.header) else f"remex:{sha_or_key}",
            job_number=first.job_number,
            environment={"REMEX_COMMAND": first.command} if first.command else {},
            header=_sent(first.header, checked=bool(checks)),
            array=self._array(limit) if self.kind is GroupingKind.ARRAY else None,
            pack=self._pack(limit) if self.kind is GroupingKind.PACK else None,
            in_doubt=in_doubt,
            options=[
                *(["--open-mode=append"] if first.command else []),
                *first.sbatch,
                *clusters_option([*upstreams.values()]),
            ],
            scripts={run.directory: scripts[run.commit.sha] for run in self.runs},
            dependency=dependency_option([*upstreams.values()]),
            upstreams=checks,
        )

    def _array(self, limit: int) -> parts.Array:
        lines, shebang = self._script()
        return parts.Array(lines, shebang, limit or None)

    def _pack(self, limit: int) -> parts.Pack:
        lines, shebang = self._script()
        return parts.Pack(lines, shebang, limit or None, self._time_limit(limit))

    def _script(self) -> tuple[list[str], str]:
        header = self.runs[0].header
        return list(header.lines), header.shebang

    def _time_limit(self, slots: int) -> float | None:
        """Return the seconds for all runs of a pack, `slots` at a time, each to its own limit."""
        each = self.runs[0].header.time_limit
        if each is None:
            return None
        return each * math.ceil(len(self.runs) / (slots or 1))


def form_submissions(
    runs: Iterable[RunRecord],
    members: Mapping[str, Sequence[RunRecord]],
    grouping: Grouping,
    size: int,
    dependencies: Mapping[str, Dependency],
) -> list[Submission]:
    """Divide runs among submissions.

    Args:
        runs: The runs to submit. A run that was in a submission before stays in it.
        members: All runs of each earlier submission, by its key.
        grouping: How the others are grouped: by equal headers, or each by itself.
        size: The most runs in an array.
        dependencies: The upstreams of runs, by commit; in a group all wait for one job, or for
            one array task by task.

    Returns:
        The submissions; each run is in one of them.
    """
    formed: dict[str, Submission] = {}
    new: list[RunRecord] = []
    for run in runs:
        if run.submission:
            formed.setdefault(
                run.submission,
                Submission(run.submission, tuple(members[run.submission]), _kind(run.submission)),
            )
        else:
            new.append(run)
    if grouping.kind is GroupingKind.SINGLE:
        return [*formed.values(), *map(_single, new)]
    longest = size if grouping.kind is GroupingKind.ARRAY else len(new)
    groups = _alike(new, longest, dependencies, by_task=grouping.kind is GroupingKind.ARRAY)
    return [*formed.values(), *(_group(group, grouping.kind) for group in groups)]


def _sent(header: Header, *, checked: bool) -> parts.HeaderOptions:
    """Return the parts of a header that the agent needs."""
    return parts.HeaderOptions(
        output=header.output,
        error=header.error,
        name=header.name,
        time_limit=header.time_limit,
        held=header.held,
        script=header.script,
        lines=list(header.lines) if checked else [],
        shebang=header.shebang if checked else "",
        clusters=read_options(header.lines).get("clusters", ""),
    )


def _single(run: RunRecord) -> Submission:
    again = f"-{run.job_number}" if run.job_number > 1 else ""
    return Submission(run.directory + again, (run,), GroupingKind.SINGLE)


def _alike(
    runs: Sequence[RunRecord], size: int, dependencies: Mapping[str, Dependency], *, by_task: bool
) -> list[Sequence[RunRecord]]:
    """Return groups of at most `size` runs with equal headers, which wait for the same."""
    alike = grouped(
        ((run.header.script, run.header.shebang, *run.header.lines, *run.sbatch), run)
        for run in runs
    )
    return [
        group[start : start + size]
        for several in alike.values()
        for group in _waiting_alike(several, size, dependencies, by_task=by_task)
        for start in range(0, len(group), size)
    ]


def _waiting_alike(
    runs: Sequence[RunRecord], size: int, dependencies: Mapping[str, Dependency], *, by_task: bool
) -> Iterable[Sequence[RunRecord]]:
    """Return groups of runs that wait for one job; all in one if each waits for one task."""
    waits = [dependencies.get(run.commit.sha) for run in runs]
    if not any(waits) or (by_task and len(runs) <= size and fits_array(waits)):
        return [runs]
    return grouped(zip(map(waiting_key, waits), runs, strict=True)).values()


def _group(runs: Sequence[RunRecord], kind: GroupingKind) -> Submission:
    names = "\n".join(run.directory for run in runs)
    digest = hashlib.sha256(names.encode()).hexdigest()
    return Submission(f"{kind}-{digest[:12]}", tuple(runs), kind)


def _kind(key: str) -> GroupingKind:
    prefix = key.partition("-")[0]
    return (
        GroupingKind(prefix)
        if prefix in {GroupingKind.ARRAY, GroupingKind.PACK}
        else GroupingKind.SINGLE
    )


def written(footprint: Footprint) -> str:
    """Format files and bytes, as in `1.2 kB in 3 files`."""
    return f"{filesize.decimal(footprint.size)} in {counted(footprint.files, 'file')}"


@dataclass(frozen=True, slots=True)
class Cost:
    """Jobs, the most core-hours that they can use, and the size of their run directories.

    `unlimited` counts the jobs without a time limit, whose hours are not in `core_hours`.
    """

    jobs: int
    core_hours: float
    unlimited: int
    disk: Footprint

    @classmethod
    def of(cls, jobs: Iterable[tuple[Header, Footprint]]) -> Cost:
        """Add up jobs, each with its header and the size of its run directory."""
        jobs = list(jobs)
        hours = [core_hours(header) for header, _ in jobs]
        known = [each for each in hours if each is not None]
        disk = Footprint.total(size for _, size in jobs)
        return cls(len(hours), sum(known), len(hours) - len(known), disk)

    def refuse_above(self, limit: int | None) -> None:
        """Raise `SweepError` for more jobs than the limit; None means any number."""
        if limit is not None and self.jobs > limit:
            raise SweepError(
                f"this launch asks for {self}, above remex_confirm = {limit}: "
                f"add --remex-yes to send it"
            )

    def __add__(self, other: Cost) -> Cost:
        """Add two launches' costs."""
        return Cost(
            self.jobs + other.jobs,
            self.core_hours + other.core_hours,
            self.unlimited + other.unlimited,
            self.disk + other.disk,
        )

    def __str__(self) -> str:
        """Format it, as in `3 jobs, at most 0.25 core-hours, ...`."""
        text = (
            f"{counted(self.jobs, 'job')}, at most {self.core_hours:,.4g} core-hours, and "
            f"{written(self.disk)} of run directories"
        )
        if not self.unlimited:
            return text
        return f"{text}, not counting the hours of {self.unlimited} without a limit (#SBATCH -t)"


def cost_of(candidates: Iterable[Candidate]) -> Cost:
    """Return what the jobs of experiments cost."""
    return Cost.of((each.prepared.header, each.prepared.footprint) for each in candidates)
