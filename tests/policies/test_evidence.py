"""Evidence is what its formulas say, to the ninth digit, and its bounds cover."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import integrate, special  # type: ignore[import-untyped]

from eddyline.policies import Contest, ELond, ErrorDetector, SplitContest, absolute, recomputed, zero_one
from eddyline.policies.evidence import ceiling_mean, ceiling_pairs, log_e_mean, log_e_pairs, lower_bound
from eddyline.records import Output
from eddyline.records.errors import DeclarationError

COUNTS = [*range(12), 40, 333, 2_000, 5_000]


@pytest.mark.parametrize("wins", COUNTS)
def test_pairs_are_the_formula_of_the_specification(wins: int) -> None:
    for losses in COUNTS:
        tail = special.betainc(1 + losses, 1 + wins, 0.5)  # 1 - I_½(1 + w, 1 + l)
        if tail > 0.0:
            formula = (wins + losses + 1) * math.log(2) + special.betaln(1 + wins, 1 + losses) + math.log(tail)
            assert log_e_pairs(wins, losses) == pytest.approx(formula, abs=1e-9)


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (3, 1), (61, 31), (31, 61), (2_100, 1_900)])
@pytest.mark.parametrize("ties", [0, 100, 10_000])
def test_evidence_for_no_gain_is_the_limit_of_evidence_for_a_small_one(wins: int, losses: int, ties: int) -> None:
    assert log_e_pairs(wins, losses, ties, 1e-13) == pytest.approx(log_e_pairs(wins, losses), abs=1e-8)


@pytest.mark.parametrize("gain", [-0.3, -0.01, 0.004, 0.2])
def test_evidence_for_a_gain_is_the_integral(gain: float) -> None:
    wins, losses, ties = 40, 22, 900
    top = log_e_pairs(wins, losses, ties, gain)

    def wealth(s: float) -> float:
        won = wins * math.log1p(s * (1 - gain) / (1 + gain)) + losses * math.log1p(-s)
        return math.exp(won + ties * math.log1p(-s * gain / (1 + gain)) - top)

    total, _ = integrate.quad(wealth, 0, 1 - 1e-12, limit=400, points=[0.005, 0.02, 0.1, 0.5], epsabs=1e-10)
    assert total == pytest.approx(1.0, abs=1e-7)


@pytest.mark.parametrize(("total", "spread"), [(60.0, 30.0), (-7.0, 30.0), (5.0, 800.0), (900.0, 2.0), (0.5, 0.1)])
@pytest.mark.parametrize("start", [1.0, 20.0])
def test_means_are_howards_gamma_exponential_mixture(total: float, spread: float, start: float) -> None:
    c, rho = 2.0, 4.0 * start  # losses in [0, 1]
    a, x = (spread + rho) / c**2, (c * total + spread + rho) / c**2
    log_first = start * math.log(start) - special.gammaln(start) - math.log(special.gammainc(start, start))
    closed = log_first + special.gammaln(a) + math.log(special.gammainc(a, x)) - a * math.log(x)
    assert log_e_mean(1_000, total, spread, 1.0, start=start) == pytest.approx(closed + (c * total + spread) / c**2, abs=1e-9)


@pytest.mark.parametrize(("total", "spread"), [(-60.0, 30.0), (-9.0, 1.0), (-900.0, 2.0)])
def test_means_far_below_have_their_integral_too(total: float, spread: float) -> None:
    a = spread / 4 + 1
    x = total / 2 + a
    kummer = special.hyp1f1(a, a + 1, -x) / a
    assert log_e_mean(1_000, total, spread, 1.0) == pytest.approx(math.log(kummer / (1 - math.exp(-1))) + x - 1, abs=1e-9)


def test_no_bet_makes_more_than_the_ceiling() -> None:
    for wins in COUNTS:
        for losses in COUNTS:
            assert log_e_pairs(wins, losses) <= ceiling_pairs(wins, losses) + 1e-9
    for total in (-50.0, 0.0, 3.0, 80.0):
        for spread in (0.0, 1.0, 40.0, 900.0):
            for gain in (-0.2, 0.0, 0.01):
                assert log_e_mean(900, total, spread, 1.0, gain) <= ceiling_mean(900, total, spread, 1.0, gain) + 1e-9


def test_the_lower_bound_is_above_a_gain_exactly_when_the_evidence_for_it_suffices() -> None:
    needed = math.log(20)
    for wins, losses in ((61, 31), (40, 30), (90, 20)):
        low = lower_bound(lambda gain, w=wins, x=losses: log_e_pairs(w, x, 2_000, gain), needed, -1.0, 1.0)  # type: ignore[misc]
        assert log_e_pairs(wins, losses, 2_000, low - 1e-6) >= needed
        assert log_e_pairs(wins, losses, 2_000, low + 1e-6) < needed
        assert (low > 0.0) == (log_e_pairs(wins, losses) >= needed)


def test_both_bounds_of_0_1_losses_hold_at_every_look() -> None:
    rng, gain, outside = np.random.default_rng(3), 0.03, 0
    for _ in range(300):
        drawn = rng.random(4_000)
        won, lost = np.cumsum(drawn < 0.08), np.cumsum((drawn >= 0.08) & (drawn < 0.13))
        looks = range(50, 4_001, 50)
        outside += any(
            log_e_pairs(int(won[n - 1]), int(lost[n - 1]), int(n - won[n - 1] - lost[n - 1]), gain) >= math.log(20)
            for n in looks
        )
    assert outside <= 0.05 * 300 + 8


@pytest.mark.parametrize("gain", [0.0, 0.05])
def test_bounds_of_bounded_losses_hold_at_every_look(gain: float) -> None:
    rng, outside, runs = np.random.default_rng(4), 0, 300
    for _ in range(runs):
        champion = rng.beta(2, 5, 1_500)
        challenger = np.where(rng.random(1_500) < 0.3, rng.beta(2, 5, 1_500), champion)  # equal on average
        contest, wrong = Contest.new(absolute(clip=1.0)), False
        for ours, theirs in zip((champion * (1 - gain) + gain).tolist(), (challenger * (1 - gain)).tolist(), strict=True):
            contest.add(Output(ours), Output(theirs), 0.0)
            wrong = wrong or contest.reached("better", 20, gain) or contest.reached("worse", 20, gain)
        outside += wrong
    assert outside <= 0.1 * runs + 10


def test_a_better_mean_is_found_and_bounded() -> None:
    rng, contest = np.random.default_rng(6), Contest.new(absolute(clip=10.0))
    for noise in rng.normal(0, 1, 2_000).tolist():
        contest.add(Output(noise * 1.5), Output(noise), 0.0)
    verdict = contest.verdict(evidence=100)
    assert verdict.outcome == "better"
    assert 0.0 < verdict.low < verdict.mean_gain < verdict.high
    assert verdict.mean_gain == pytest.approx(0.4, abs=0.03)


def test_an_equal_split_is_promoted_in_at_most_one_run_of_twenty_while_both_drift() -> None:
    rng, runs, promoted = np.random.default_rng(11), 200, 0
    wrong, right = Output(True), Output(False)
    for _ in range(runs):
        arms, drawn = rng.random(3_000) < 0.3, rng.random(3_000)
        level = np.where(np.arange(3_000) < 1_500, 0.05, 0.3)
        contest, found = SplitContest.new(zero_one(), share=0.3), False
        for ours, missed in zip(arms.tolist(), (drawn < level).tolist(), strict=True):
            contest.add("challenger" if ours else "champion", wrong if missed else right, False)
            found = found or contest.reached("better", 20)
        promoted += found
    assert promoted <= 0.05 * runs + 6


def test_a_verdict_over_a_split_is_computed_again_from_its_evidence() -> None:
    contest = SplitContest.new(zero_one(), share=0.1)
    for number in range(200):
        contest.add("challenger" if number % 10 == 0 else "champion", Output(number % 7 == 0), False, known=number % 9 != 0)
    verdict = contest.verdict(evidence=20)
    assert recomputed(json.loads(json.dumps(verdict.evidence(), allow_nan=False))) == verdict


def test_a_split_finds_a_large_effect() -> None:
    rng, contest = np.random.default_rng(12), SplitContest.new(zero_one(), share=0.5)
    for ours, drawn in zip((rng.random(6_000) < 0.5).tolist(), rng.random(6_000).tolist(), strict=True):
        contest.add("challenger" if ours else "champion", Output(drawn < (0.1 if ours else 0.2)), False)
    verdict = contest.verdict(evidence=100)
    assert verdict.outcome == "better"
    assert verdict.low < 0.1 < verdict.high


def test_the_error_detector_alarms_falsely_no_oftener_than_it_says() -> None:
    rng, waits = np.random.default_rng(13), []
    for _ in range(60):
        detector, seen = ErrorDetector(0.1), 0
        for wrong in (rng.random(6_000) < 0.1).tolist():
            detector.add(float(wrong))
            seen += 1
            if detector.value >= 500:
                break
        waits.append(seen)
    assert np.mean(waits) >= 500


def test_the_error_detector_sees_a_doubled_error_within_hundreds_of_events() -> None:
    rng, detector = np.random.default_rng(14), ErrorDetector(0.1)
    for wrong in (rng.random(5_000) < 0.07).tolist():
        detector.add(float(wrong))
    assert detector.value < 10_000
    later = 0
    for wrong in (rng.random(5_000) < 0.2).tolist():
        detector.add(float(wrong))
        later += 1
        if detector.value >= 100_000:
            break
    assert later < 600


def test_a_saved_error_detector_goes_on_as_if_nothing_had_happened() -> None:
    whole, parts = ErrorDetector(0.1), ErrorDetector(0.1)
    for number in range(300):
        whole.add(float(number % 7 == 0))
        parts = ErrorDetector.of(parts.plain())
        parts.add(float(number % 7 == 0))
    assert whole.plain() == parts.plain()


def test_e_lond_promotes_few_equal_challengers_among_many() -> None:
    rng, false, runs = np.random.default_rng(15), 0, 300
    spending = ELond(0.05)
    for _ in range(runs):
        promoted = 0
        for number in range(1, 41):
            e = 1.0 / rng.random()  # the strongest evidence that Ville's inequality allows under no gain
            promoted += e >= spending.evidence(number, promoted)
        false += promoted > 0
    assert false <= 0.05 * runs + 11


def test_an_objective_outside_of_0_and_1_is_refused_with_what_to_write() -> None:
    with pytest.raises(DeclarationError, match=r"error_above=8 .*\nwrite error_above=0.08"):
        ErrorDetector(8)
