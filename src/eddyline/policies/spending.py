"""e-LOND: how much evidence each of many rollouts needs, so that few of all promotions are false.

Source: Xu, Ramdas, "Online multiple testing with e-values", AISTATS 2024: reject H_t at e_t ≥ 1/α_t with
α_t = α · γ_t · (rejections before t + 1), Σγ_t ≤ 1; the false discovery rate is at most α however the tests depend on
each other. Refuses to know what is tested.
"""

from __future__ import annotations

from dataclasses import dataclass

from eddyline.records.errors import DeclarationError


@dataclass(frozen=True)
class ELond:
    """Evidence that grows with the number of challengers tried: at most `alpha` of the promotions are false, on average.

    Here γ_t = 1/(t(t + 1)), which sums to 1. Choose it when challengers come by themselves, as retraining makes them; a
    fixed `evidence=100` bounds each promotion by itself.

    >>> ELond(alpha=0.05).evidence(number=1, promoted=0), ELond(alpha=0.05).evidence(number=4, promoted=2)
    (40.0, 133.33333333333334)
    """

    alpha: float = 0.05

    def __post_init__(self) -> None:
        if type(self.alpha) is not float or not 0.0 < self.alpha < 1.0:
            raise DeclarationError(f"ELond: alpha={self.alpha!r} is not a share between 0 and 1\nwrite ELond(alpha=0.05)")

    def evidence(self, number: int, promoted: int) -> float:
        """The E that the `number`-th challenger (from 1) needs, when `promoted` of those before it were promoted."""
        assert number >= 1
        assert 0 <= promoted < number
        return number * (number + 1) / (promoted + 1) / self.alpha
