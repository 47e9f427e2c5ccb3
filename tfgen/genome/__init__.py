"""DNA as data: sequences, intervals, FASTA and variants. NumPy and htslib only.

Coordinates: an `Interval` is 0-based and half-open; the position of a `Variant` is 1-based, as in a
VCF, and its `start` and `end` are 0-based and half-open.
"""

from tfgen.genome.adapters import from_kipoiseq, to_kipoiseq
from tfgen.genome.checks import DEFAULT_MAX_INDEL, CheckedVariant, ReferencePolicy, check_variant
from tfgen.genome.codes import AMBIGUITY, CODES, LETTERS, N_CODE, decode, encode
from tfgen.genome.complement import (
    reverse_complement,
    reverse_complement_codes,
    reverse_complement_one_hot,
)
from tfgen.genome.contigs import (
    ContigLengthMismatch,
    ContigNames,
    contig_length_mismatches,
    load_contig_map,
    require_common_contig,
)
from tfgen.genome.fasta import Fasta
from tfgen.genome.intervals import Interval
from tfgen.genome.onehot import BASES, IupacPolicy, one_hot, one_hot_table
from tfgen.genome.sequences import alternative_sequence
from tfgen.genome.status import Status
from tfgen.genome.variant_files import (
    VariantFormat,
    VariantSummary,
    read_variants,
    scan_variants,
)
from tfgen.genome.variant_table import (
    AlleleMatch,
    Join,
    VariantTable,
    is_palindromic,
    join_variants,
    match_alleles,
)
from tfgen.genome.variants import Variant, VariantRecord
from tfgen.genome.windows import (
    VariantWindow,
    centred_window,
    longest_centred_allele,
    variant_window,
)

__all__ = [
    "AMBIGUITY",
    "AlleleMatch",
    "BASES",
    "CODES",
    "DEFAULT_MAX_INDEL",
    "LETTERS",
    "N_CODE",
    "CheckedVariant",
    "ContigLengthMismatch",
    "ContigNames",
    "Fasta",
    "Interval",
    "IupacPolicy",
    "Join",
    "ReferencePolicy",
    "Status",
    "Variant",
    "VariantFormat",
    "VariantRecord",
    "VariantSummary",
    "VariantTable",
    "VariantWindow",
    "alternative_sequence",
    "centred_window",
    "check_variant",
    "contig_length_mismatches",
    "decode",
    "encode",
    "from_kipoiseq",
    "is_palindromic",
    "join_variants",
    "load_contig_map",
    "longest_centred_allele",
    "match_alleles",
    "one_hot",
    "one_hot_table",
    "read_variants",
    "require_common_contig",
    "reverse_complement",
    "reverse_complement_codes",
    "reverse_complement_one_hot",
    "scan_variants",
    "to_kipoiseq",
    "variant_window",
]
