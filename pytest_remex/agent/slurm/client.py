"""Run Slurm's commands, except sbatch, and parse their output."""

import os
import re
import shutil
import time
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Tuple

from pytest_remex.agent import process
from pytest_remex.agent.errors import AgentError
from pytest_remex.agent.slurm import commands, parse
from pytest_remex.agent.slurm.parse import SacctRow, SqueueRow

PATIENCE = 120.0
"""Seconds for one command; a busy controller answers late."""
LIMITS_PATIENCE = 20.0
"""Seconds for the accounting's limits, which a launch can do without."""
TOTAL_PATIENCE = 150.0
"""Seconds for all programs that do not answer: those after the first get the rest."""
LEAST_PATIENCE = 10.0
"""Seconds for a command whose program did not answer just now, and the least for any."""
REMEMBERED = 600.0
"""Seconds for which that counts: a wait for jobs may last days, and programs recover."""
LONGEST_LIST = 30_000
"""The most bytes of job ids in one command; Linux allows 128 kB in one argument."""
MOST_LISTED = 1000
"""The most jobs that squeue is asked for by number: it compares each job with each number."""
_CLUSTER_NAME = re.compile(r"\w[\w.-]*")
_NO_SUCH_JOB = "Invalid job id"
_UNREACHABLE = "Unable to contact slurm controller"
_DOWN = " is DOWN"
_HANGS = "no answer within {:.0f} s, and later none within {:.0f} s"
_ALSO = "no answer within {:.0f} s, after {} had not answered within {:.0f} s"
_DISABLED = "accounting storage is disabled"


class NoAccountingError(AgentError):
    """The cluster has no accounting; other sources must be used."""


class Limits(NamedTuple):
    """A cluster's version and limits; None if unknown."""

    slurm: Optional[str]
    sacct: bool
    max_array_size: Optional[int]
    max_submit: Optional[int]
    max_jobs: Optional[int]
    message_timeout: Optional[int]
    max_tasks: Optional[int]


class _Hang(NamedTuple):
    """A program that did not answer: when we gave it up, and after how many seconds."""

    ended: float
    seconds: float


class SlurmClient:
    """Runs Slurm's commands for one agent, which serves one command of one client.

    It asks for the cluster's settings once, and remembers which programs did not answer.
    """

    def __init__(self) -> None:
        self._answers: Dict[str, process.Ran] = {}
        self._hung: Dict[Tuple[str, str], _Hang] = {}

    def config_failure(self) -> str:
        """Return why the controller's settings are not known; empty if they are."""
        ran = self._descriptions()["config"]
        return "" if ran.ok else ran.message()

    def outage(self) -> str:
        """Return what Slurm's commands say if the controller is down; empty if it may answer.

        A site's script round scontrol may fail in the same words, so a second question confirms it.
        """
        why = self.config_failure()
        return why if _UNREACHABLE in why and _DOWN in self.run(commands.ping()).out else ""

    def limits(self) -> Limits:
        """Return the cluster's version and limits.

        Raises an error of kind slurm if there is no sbatch.
        """
        if shutil.which("sbatch") is None:
            message = "sbatch is not on PATH on the cluster; load Slurm's module in a login file"
            raise AgentError("slurm", message)
        answers = {name: ran.out for name, ran in self._descriptions().items()}
        config = parse.settings(answers["config"])
        submitted, running = parse.job_limits(answers["associations"], answers["qualities"])
        longest = _first_number(config.get("MaxArraySize"))
        most = parse.array_limit(answers["associations"], answers["qualities"])
        accounting = config.get("AccountingStorageType", "").partition("/")[2] not in ("", "none")
        return Limits(
            slurm=answers["version"].split()[-1] if answers["version"].strip() else None,
            sacct=accounting and shutil.which("sacct") is not None,
            max_array_size=longest,
            max_submit=submitted,
            max_jobs=running,
            message_timeout=_first_number(config.get("MessageTimeout")),
            max_tasks=min(filter(None, (longest, most)), default=None),
        )

    def cluster_name(self) -> str:
        """Return the name of the cluster that is asked by default; empty if it is not known."""
        return self.known_cluster_name() or _cluster_name(self.run(commands.config()))

    def known_cluster_name(self) -> str:
        """Return the same as far as an earlier request has asked for the settings."""
        return _cluster_name(self._answers["config"]) if self._answers else ""

    def message_timeout(self) -> float:
        """Return the seconds after which Slurm's commands give up; 10 is its default."""
        config = parse.settings(self.run(commands.config()).out)
        return float(_first_number(config.get("MessageTimeout")) or 10)

    def listing(self, cluster: str = "", numbers: Iterable[str] = ()) -> List[SqueueRow]:
        """Return the user's jobs that the controller remembers.

        `numbers` are the only jobs that matter, and at most `MOST_LISTED` of them are asked for by
        number: the rows of all earlier batches would make each further one cost more. Raises an
        error of kind slurm if squeue fails.
        """
        wanted = sorted(set(numbers), key=int)
        jobs = wanted if len(wanted) <= MOST_LISTED else []
        ran = self.run(commands.listing(cluster, jobs))
        if jobs and not ran.ok and _NO_SUCH_JOB in ran.message():
            return []
        if not ran.ok:
            raise AgentError("slurm", f"squeue failed: {ran.message()}")
        return parse.listing(ran.out)

    def exit_codes(self, jobs: List[str], cluster: str = "") -> Dict[str, Tuple[int, int]]:
        """Return exit codes and signals of ended jobs that the controller still knows."""
        found: Dict[str, Tuple[int, int]] = {}
        for some in chunks(jobs):
            ran = self.run(commands.exit_codes(some, cluster))
            found.update(parse.exit_codes(ran.out))
        return found

    def accounts(
        self, jobs: List[str], since: float, cluster: str = "", *, everywhere: bool = False
    ) -> Dict[str, SacctRow]:
        """Return the accounting's rows of jobs since a time; an error of kind slurm if it fails.

        `everywhere` asks for the rows of all clusters of a federation.
        """
        found: Dict[str, SacctRow] = {}
        for some in chunks(jobs):
            words = commands.accounts(some, moment(since), cluster, everywhere=everywhere)
            found.update(self._accounts(words))
        return found

    def accounts_of_same_number(
        self,
        jobs: List[str],
        since: float,
        cluster: str,
        is_wanted: Callable[[str, str], bool],
    ) -> Dict[str, SacctRow]:
        """Return rows that a later job of the same number hides; fails as `accounts` does.

        `is_wanted` says whether a row is, by its id and WorkDir.
        """
        found: Dict[str, SacctRow] = {}
        for some in chunks(jobs):
            words = commands.accounts_of_same_number(some, moment(since), cluster)
            found.update(self._accounts(words, is_wanted))
        return found

    def accounts_of_user(self, since: float, cluster: str = "") -> Dict[str, SacctRow]:
        """Return the accounting's rows of all the user's jobs; fails as `accounts` does."""
        return self._accounts(commands.accounts_of_user(moment(since), cluster))

    def shown(self, job: str, cluster: str = "") -> str:
        """Return the controller's description of a job; empty if it does not know the id.

        Unlike a listing, which a site may answer from a cache, this comes from the controller
        itself. Raises an error of kind slurm if it does not answer.
        """
        ran = self.run(commands.show(job, cluster))
        text = parse.described(ran.out)
        if ran.ok and text:
            return text
        if _NO_SUCH_JOB in ran.err + ran.out:
            return ""
        raise AgentError("slurm", f"scontrol failed: {ran.message()}")

    def cancel_held(self, jobs: List[str], cluster: str = "") -> bool:
        """Cancel those of the jobs that are held; return whether scancel accepted it."""
        return self.run(commands.cancel_held(jobs, cluster)).ok

    def run(self, words: List[str], patience: float = PATIENCE) -> process.Ran:
        """Run a command without the user's own filter and format variables, and without colours.

        One that hangs would take its full time again and again: until it answers, it gets less. If
        several hang, all of them share the time.
        """
        asked = words[0], commands.cluster_of(words)
        since = time.monotonic() - REMEMBERED
        hung = {name: each for name, each in self._hung.items() if each.ended > since}
        earlier = hung.get(asked)
        left = 0 if earlier else TOTAL_PATIENCE - sum(each.seconds for each in hung.values())
        seconds = min(patience, max(LEAST_PATIENCE, left))
        ran = process.run(words, timeout=seconds, env=commands.variables_for_questions(os.environ))
        if ran.code is not None:
            self._hung.pop(asked, None)
        elif earlier:
            return ran._replace(err=_HANGS.format(earlier.seconds, seconds))
        else:
            self._hung[asked] = _Hang(time.monotonic(), seconds)
            if seconds < patience:
                (program, _), first = max(hung.items(), key=lambda each: each[1].seconds)
                return ran._replace(err=_ALSO.format(seconds, program, first.seconds))
        return ran._replace(out=parse.without_colours(ran.out), err=parse.without_colours(ran.err))

    def _descriptions(self) -> Dict[str, process.Ran]:
        """Return what the cluster says of its version and settings; it is asked once."""
        questions = {
            "version": commands.version(),
            "config": commands.config(),
            "associations": commands.associations(),
            "qualities": commands.qualities(),
        }

        answers: Dict[str, process.Ran] = {}

        def ask(name: str) -> None:
            words = questions[name]
            answers[name] = self.run(words, LIMITS_PATIENCE if words[0] == "sacctmgr" else PATIENCE)

        if not self._answers:
            process.in_parallel(questions, ask, len(questions))
            self._answers = answers
        return self._answers

    def _accounts(
        self, words: List[str], *is_wanted: Callable[[str, str], bool]
    ) -> Dict[str, SacctRow]:
        ran = self.run(words)
        if ran.code == process.MISSING or _is_disabled(ran):
            raise NoAccountingError("slurm", "this cluster has no accounting")
        if not ran.ok:
            raise AgentError("slurm", f"sacct failed: {ran.message()}")
        return parse.accounts(ran.out, *is_wanted)


def _cluster_name(config: process.Ran) -> str:
    name = parse.settings(config.out).get("ClusterName", "")
    return name if _CLUSTER_NAME.fullmatch(name) else ""


def chunks(jobs: List[str]) -> List[List[str]]:
    """Split job ids so that each part fits on a command line."""
    parts: List[List[str]] = []
    length = LONGEST_LIST
    for job in jobs:
        length += len(job) + 1
        if length > LONGEST_LIST:
            parts.append([])
            length = len(job) + 1
        parts[-1].append(job)
    return parts


def moment(seconds: float) -> str:
    """Format a time for sacct's -S option, in local time."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds))


def _is_disabled(ran: process.Ran) -> bool:
    """Return whether sacct answered only that there is no accounting; a script may redirect it."""
    return _DISABLED in ran.err or (_DISABLED in ran.out and not parse.accounts(ran.out))


def _first_number(text: Optional[str]) -> Optional[int]:
    word = (text or "").split(None, 1)
    return int(word[0]) if word and word[0].isdigit() else None
