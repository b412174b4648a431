"""What was acknowledged survives a kill, an error and a full disk at any system call that touches the store.

150 strikes by default. `EDDYLINE_KILL_SWEEP=all` makes every one, `EDDYLINE_KILL_SWEEP=pwrite64:KILL:117` makes this one (or
several, separated by spaces), `EDDYLINE_KILL_SEED=7` draws the sample of that seed again.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from tests.faults import sweep
from tests.faults.sweep import Finding, Plan, Strike

SAMPLE = 150
WORKERS = 2
SHARE = 200
"""How many strikes a process makes at most; each process imports everything once."""
FULL = ("pwrite64", "ftruncate", "openat", "fdatasync", "mkdir")
"""Calls that fail when the disk is full."""
AGAIN = ("pread64", "pwrite64", "openat", "ftruncate", "flock", "fdatasync", "unlink")
"""Calls at which a recovery is killed."""


def every_plan(counts: dict[str, int]) -> list[Plan]:
    """Every strike there is."""
    faults = {call: ["KILL", "EIO"] for call in sweep.WRITES} | {call: ["EIO"] for call in sweep.READS}
    for call in FULL:
        faults[call] = [*faults[call], "ENOSPC"]
    faults["fdatasync"].append("EINTR")
    return [
        Plan(Strike(call, fault, nth + 1))
        for call, count in sorted(counts.items())
        for fault in faults[call]
        for nth in range(count)
    ]


def sample(plans: list[Plan], dice: random.Random, size: int) -> list[Plan]:
    """Every kill at a rare call, some recoveries that are killed too, and of the rest as many as fit."""
    common = {"pwrite64", "fdatasync", "pread64"}
    rare = [plan for plan in plans if plan.first.call not in common and plan.first.fault == "KILL"]
    kills = [plan.first for plan in plans if plan.first.fault == "KILL"]
    twice = [Plan(dice.choice(kills), Strike(dice.choice(AGAIN), "KILL", dice.randint(1, 8))) for _ in range(size // 6)]
    others = [plan for plan in plans if plan not in rare]
    return [*rare, *twice, *dice.sample(others, size - len(rare) - len(twice))]


def carry_out(plans: list[Plan]) -> Iterator[Finding]:
    """Carries plans out, in as many processes as there are workers."""

    def share(mine: list[Plan]) -> list[Finding]:
        given = b"".join(msgspec.json.encode(plan) + b"\n" for plan in mine)
        ran = subprocess.run(
            [sys.executable, "-m", "tests.faults.sweep"],
            input=given,
            capture_output=True,
            check=False,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
        assert ran.returncode == 0, ran.stderr.decode()
        return msgspec.json.Decoder(Finding).decode_lines(ran.stdout)

    size = min(SHARE, -(-len(plans) // WORKERS))
    with ThreadPoolExecutor(WORKERS) as pool:
        for findings in pool.map(share, [plans[i : i + size] for i in range(0, len(plans), size)]):
            yield from findings


def test_nothing_acknowledged_is_lost_or_changed_wherever_a_call_is_killed_or_fails() -> None:
    if (why := sweep.missing()) is not None:
        pytest.skip(f"no strike was made: {why}")
    wanted = os.environ.get("EDDYLINE_KILL_SWEEP", "")
    seed = int(os.environ.get("EDDYLINE_KILL_SEED", random.SystemRandom().randrange(10**6)))
    counts = sweep.count()
    plans = every_plan(counts)
    if wanted == "all":
        chosen = plans
    elif wanted:
        chosen = [Plan.of(text) for text in wanted.split()]
    else:
        chosen = sample(plans, random.Random(seed), SAMPLE)
    print(f"{len(chosen)} of {len(plans)} strikes, seed {seed}, calls {counts}")
    findings = list(carry_out(chosen))
    wrong = [f"EDDYLINE_KILL_SWEEP={finding.plan}: {finding.complaints}" for finding in findings if finding.complaints]
    assert not wrong, f"{len(wrong)} of {len(findings)} strikes, seed {seed}:\n" + "\n".join(wrong[:20])
    met = sum(finding.hits[0] for finding in findings)
    print(f"{met} hit, {sum(finding.errors for finding in findings)} errors were raised and mended")
    assert met >= 0.9 * len(findings), "the strikes missed: the calls are not counted as they are made"
    fails = [finding for finding in findings if finding.plan.first.fault in ("EIO", "ENOSPC")]
    assert wanted or any(finding.errors for finding in fails), "no error of the disk was ever raised"


def test_a_recovery_that_is_killed_is_recovered_from() -> None:
    if (why := sweep.missing()) is not None:
        pytest.skip(f"no strike was made: {why}")
    died = Strike("fdatasync", "KILL", 150)
    findings = list(carry_out([Plan(died, Strike("pread64", "KILL", nth)) for nth in (1, 3, 9, 20)]))
    assert [finding.complaints for finding in findings] == [[]] * 4
    assert all(finding.hits == [True, True] for finding in findings)
