"""What the demo came to."""

import dataclasses
from collections.abc import Mapping

from tfgen.io import library_versions
from tfgen.synthetic.scorecard import Scorecard
from tfgen.synthetic.variants import ELSEWHERE


@dataclasses.dataclass(frozen=True)
class DemoReport:
    """What the demo came to.

    Attributes:
        trained: Agreement of SAD with the true effect on the held-out variants.
        untrained: The same for the model before training.
        prediction_r: Track -> Pearson r of predicted with observed coverage on the held-out
            chromosomes.
        seconds: Part of the demo -> its wall time.
        self_check_max_abs: Largest difference of a score from its full recomputation.
        settings: Sizes and seeds.
    """

    trained: Scorecard
    untrained: Scorecard
    prediction_r: Mapping[str, float]
    seconds: Mapping[str, float]
    self_check_max_abs: float
    settings: Mapping[str, object]

    def to_json(self) -> dict[str, object]:
        """The contents of `report.json`; correlations are means over the tracks."""
        card = self.trained
        return {
            "pearson_r": card.pearson_r,
            "spearman_r": card.spearman_r,
            "pearson_r_motif": card.pearson_r_motif,
            **{f"pearson_r_{name}": r for name, r in card.by_class.items()},
            "pearson_r_untrained": self.untrained.pearson_r,
            "n_variants": card.n_variants,
            **{f"n_{name}": number for name, number in card.counts.items()},
            "prediction_r": dict(self.prediction_r),
            **{f"seconds_{name}": round(value, 2) for name, value in self.seconds.items()},
            "self_check_max_abs": self.self_check_max_abs,
            **self.settings,
            "versions": library_versions(),
        }

    def table(self) -> list[str]:
        """The agreement as lines of text: a class of variants, how many, trained, untrained."""
        rows: list[tuple[str, ...]] = [("variants", "number", "r trained", "r untrained")]
        cards = (self.trained, self.untrained)
        n_motif = sum(n for name, n in self.trained.counts.items() if name != ELSEWHERE)
        rows += [
            _row("all", self.trained.n_variants, [card.pearson_r for card in cards]),
            _row("in motifs", n_motif, [card.pearson_r_motif for card in cards]),
        ]
        for name, number in self.trained.counts.items():
            rows.append(_row(name, number, [card.by_class[name] for card in cards]))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return [
            "  ".join(
                [row[0].ljust(widths[0])]
                + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            )
            for row in rows
        ]


def _row(name: str, number: int, correlations: list[float]) -> tuple[str, ...]:
    return (name, f"{number:,}", *(f"{r:.3f}" for r in correlations))
