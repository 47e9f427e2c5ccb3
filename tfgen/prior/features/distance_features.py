"""The distance of variants from the nearest of a list of points, such as transcription starts."""

from collections.abc import Iterable

import numpy as np

from tfgen.genome import VariantTable
from tfgen.genome.variant_table import contig_names
from tfgen.prior.features.feature_tables import FeatureTable, positions, require_columns
from tfgen.prior.features.keyed_values import Floats, by_contig
from tfgen.prior.features.source_specs import SourceSpec

OPTIONS = ("header", "chrom", "pos")

_NAMES = {
    "chrom": ("chromosome", "chrom", "chr"),
    "pos": ("position", "pos", "tss", "bp", "start"),
}


class DistanceSource:
    """A column with log10(1 + bases between variant and nearest point).

    The points are a table with a contig and a 1-based position; the options `chrom` and `pos`
    name these columns, or count them from 1 with `header=no`. A contig without a point is missing.

    Args:
        spec: The file.
        contigs: Contigs of the variants.

    Attributes:
        columns: `log10_distance_to_NAME`.
        signed: Never.
        files: The file.
        warnings: What the user should know.

    Raises:
        InputFormatError: The file cannot be read or lacks a column.
        UsageError: An option that is neither yes nor no.
    """

    signed = False

    def __init__(self, spec: SourceSpec, contigs: Iterable[str]) -> None:
        self.files = (spec.path,)
        self.columns = (f"log10_distance_to_{spec.stem}",)
        self.warnings: list[str] = []
        has_header = spec.yes("header", default=True)
        table = FeatureTable(spec.path, header=has_header)
        names = {
            need: spec.options.get(need, "") or (table.first(*aliases) if has_header else "")
            for need, aliases in _NAMES.items()
        }
        require_columns(table, names)
        columns = table.read((names["chrom"],), (names["pos"],))
        chroms = contig_names(columns[names["chrom"]])
        pos = positions(table, columns[names["pos"]], names["pos"])
        self._points = {chrom: np.sort(pos[chroms == chrom]) for chrom in set(chroms.tolist())}
        missing = [chrom for chrom in dict.fromkeys(contigs) if chrom not in self._points]
        if missing:
            self.warnings.append(
                f"{spec.label}: no position on the contigs {', '.join(missing)}; the distances "
                "there are missing"
            )

    def values(self, variants: VariantTable) -> Floats:
        """The column of given variants [m, 1] float32."""
        values = np.full((len(variants), 1), np.nan, np.float32)
        for chrom, rows in by_contig(variants):
            points = self._points.get(chrom)
            if points is not None:
                pos = variants.pos[rows]
                after = np.searchsorted(points, pos)
                right = points[np.minimum(after, len(points) - 1)]
                left = points[np.maximum(after - 1, 0)]
                values[rows, 0] = np.log10(
                    1.0 + np.minimum(np.abs(right - pos), np.abs(pos - left))
                )
        return values
