"""The full campaign of kills, cuts and slow faults: `python tests/cluster/stress.py --kills 200`.

Each case is a fresh project: a submit is killed or cut, the same command runs again, and the
invariants are checked. In every second one each experiment is a batch of its own. The exit code
is 1 when one was broken.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support import shims as faults
from support.invariants import Snapshot, assert_clean, assert_once
from support.kills import EDGES, kill_after, kill_at
from support.launches import User
from support.projects import Project, copy_project, make_project
from support.proxy import Proxy
from support.sites import Site, Sites

GRID = 3
ARRAY = ("--remex-array",)
QUICK = {"MessageTimeout": "2"}


@dataclass
class Campaign:
    """Runs cases against one site, and counts what became of them."""

    site: Site
    folder: Path
    template: Project
    counts: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    number: int = 0

    def case(self, name: str, fault, *options: str) -> None:
        """Run `fault(user)`, then the same command until it is done; check what must hold."""
        self.number += 1
        place = self.folder / str(self.number)
        user = self._user(place)
        try:
            before = Snapshot.of(user.repository)
            fault(user)
            stages = {event["state"] for event in user.events() if "state" in event}
            last = max(stages & set(EDGES), key=EDGES.index, default="nothing")
            self.counts[f"{name}: the record had come to {last}"] += 1
            user.submit(*options)
            user.pytest("--remex-status").told()
            assert_once(user, self.site.cluster, GRID)
            assert_clean(user, before)
        except Exception:  # noqa: BLE001 - every case counts, also after one that broke
            self.broken.append(f"case {self.number}, {name}, in {place}")
            print(self.broken[-1], traceback.format_exc(limit=-3), sep="\n", flush=True)  # noqa: T201
        else:
            shutil.rmtree(place)
        finally:
            user.close()
            self.site.reset()

    def report(self) -> int:
        """Print the counts; give the exit code."""
        for name, count in sorted(self.counts.items()):
            print(f"{count:5}  {name}")  # noqa: T201
        print(f"{self.number} cases, {len(self.broken)} broke an invariant", *self.broken, sep="\n")  # noqa: T201
        return 1 if self.broken else 0

    def _user(self, place: Path) -> User:
        home = place / "home"
        self.site.sshd.client(home)
        user = User(copy_project(self.template, place), home)
        user.script()
        if self.number % 2:
            user.batches(1)
        return user


def kills(campaign: Campaign, count: int) -> None:
    """Kill at every edge, alone and as an array, then at random moments."""
    for options in ((), ARRAY):
        for state in EDGES:
            several = (1,) if state in {"PUSHING", "TIDIED"} else (1, GRID)
            for lines in several:
                campaign.case(
                    f"killed at {state}",
                    lambda user, s=state, n=lines, o=options: kill_at(user, s, n, *o),
                    *options,
                )
    took: list[float] = []
    campaign.case("not killed", lambda user: took.append(_seconds_of_a_submit(user)))
    for number in range(count):
        options = ARRAY if number % 4 == 3 else ()
        share = random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
        seconds = share * max(took, default=3.0)
        campaign.case(
            "killed at random",
            lambda user, t=seconds, o=options: kill_after(user, t, *o),
            *options,
        )


def _seconds_of_a_submit(user: User) -> float:
    begun = time.monotonic()
    user.submit()
    return time.monotonic() - begun


def cuts(campaign: Campaign, count: int) -> None:
    """Cut the link at so many places, each way, and at as many in its last tenth.

    The first bytes to the cluster are the agent itself, the last ones the launch.
    """
    with Proxy(campaign.site.sshd.port) as proxy:
        campaign.case("not cut", lambda user: _through(campaign, proxy, user))
        totals = dict(proxy.forwarded)
        for direction, total in totals.items():
            late = total * 9 // 10
            for place in (
                *range(1, late, max(1, late // count)),
                *range(late, total, max(1, (total - late) // count)),
            ):
                campaign.case(
                    f"cut {direction}",
                    lambda user, n=place, d=direction: _through(campaign, proxy, user, n, d),
                )


def _through(campaign: Campaign, proxy: Proxy, user: User, count: int = -1, way="up") -> None:
    campaign.site.sshd.client(user.home, proxy.port)
    if count >= 0:
        proxy.cut_after(count, way)
    user.pytest("--remex-submit").plain()
    proxy.cut_after(1 << 40, way)
    campaign.site.sshd.client(user.home)


def sbatch_faults(campaign: Campaign) -> None:
    """Let sbatch go wrong in each way at each of the calls; a hung one takes three minutes."""
    shims = campaign.site.shims
    table = {
        "accepts, times out": faults.ACCEPTS_THEN_TIMES_OUT,
        "times out": faults.TIMES_OUT,
        "accepts late": faults.accepts_late(1),
        "kills the agent": faults.KILLS_PARENT,
        "answers, kills the agent": faults.ANSWERS_THEN_KILLS_PARENT,
        "chatters": faults.CHATTERS,
        "hangs": faults.HANGS,
        "accepts, hangs": faults.ACCEPTS_THEN_HANGS,
    }
    with campaign.site.cluster.changed(**QUICK):
        for name, fault in table.items():
            for call in range(1, GRID + 1) if "hangs" not in name else (2,):
                body = f"if [ $NUMBER = {call} ]; then\n{fault}\nfi"

                def act(user: User, body: str = body) -> None:
                    shims.submissions(body)
                    user.pytest("--remex-submit", seconds=400).plain()

                campaign.case(f"sbatch {name}", act)


def main() -> int:
    """Run the campaign that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="kills at random moments")
    parser.add_argument("--cuts", type=int, default=50, help="cuts of the link, each way")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random moments")
    parser.add_argument("--only", choices=("kills", "cuts", "sbatch"), help="one part")
    asked = parser.parse_args()
    random.seed(asked.seed)
    folder = Path(tempfile.mkdtemp(prefix="remex-stress-"))
    (folder / "template").mkdir()
    with Sites() as sites:
        campaign = Campaign(sites.of("plain"), folder, make_project(folder / "template"))
        if asked.only in {None, "kills"}:
            kills(campaign, asked.kills)
        if asked.only in {None, "cuts"}:
            cuts(campaign, asked.cuts)
        if asked.only in {None, "sbatch"}:
            sbatch_faults(campaign)
        code = campaign.report()
    if not code:
        shutil.rmtree(folder)
    return code


if __name__ == "__main__":
    sys.exit(main())
