import subprocess
import sys

import pytest

from tfgen.errors import UnsupportedInputError, UsageError
from tfgen.genome import Interval, Variant, from_kipoiseq, to_kipoiseq


def test_intervals_and_variants_make_the_round_trip() -> None:
    for thing in (
        Interval("chr1", 10, 30),
        Interval("chr1", -5, 3),
        Variant("chr2", 7, "AC", "A", "rs1"),
        Variant("chr2", 7, "A", "G"),
    ):
        assert from_kipoiseq(to_kipoiseq(thing)) == thing


def test_coordinates_mean_the_same_on_both_sides() -> None:
    interval = to_kipoiseq(Interval("chr1", 10, 30))
    assert (interval.chrom, interval.start, interval.end) == ("chr1", 10, 30)
    variant = to_kipoiseq(Variant("chr1", 11, "A", "G"))
    assert (variant.start, variant.pos, variant.ref, variant.alt) == (10, 11, "A", "G")


def test_lower_case_alleles_and_missing_ids_are_put_right() -> None:
    from kipoiseq import Variant as KipoiVariant

    assert from_kipoiseq(KipoiVariant("chr1", 5, "a", "ct")) == Variant("chr1", 5, "A", "CT", ".")


def test_the_reverse_strand_is_refused() -> None:
    from kipoiseq import Interval as KipoiInterval

    assert from_kipoiseq(KipoiInterval("c", 1, 2, strand="+")) == Interval("c", 1, 2)
    with pytest.raises(UnsupportedInputError, match="c:1-2 lies on the reverse strand"):
        from_kipoiseq(KipoiInterval("c", 1, 2, strand="-"))


def test_other_things_are_refused() -> None:
    with pytest.raises(UsageError, match="tuple: expected a kipoiseq Interval or Variant"):
        from_kipoiseq(("chr1", 1, 2))


def test_import_is_lazy_and_silent() -> None:
    program = (
        "import sys, tfgen.genome as g\n"
        "assert not {'kipoiseq', 'pandas', 'tensorflow', 'h5py'} & set(sys.modules)\n"
        "g.from_kipoiseq(g.to_kipoiseq(g.Interval('c', 0, 1)))\n"
        "assert 'kipoiseq' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
