import pytest

from tfgen.effects.rows import RowReader, longest_indel
from tfgen.effects.windows import WindowGeometry
from tfgen.errors import InputFormatError, InputMismatchError
from tfgen.genome import ContigNames, Fasta, Status
from tfgen.io.shards import RowRange

GEOMETRY = WindowGeometry(1024, 5)


def read(config, *ranges):
    with Fasta(config.fasta) as fasta:
        reader = RowReader(config, fasta, ContigNames(fasta.contigs))
        return list(reader.scoring_rows([RowRange(*pair) for pair in ranges], GEOMETRY))


def test_rows_have_their_window(world):
    config = world.config(world.snvs(20))
    rows = read(config, (0, 20))
    assert [row.record.row for row in rows] == list(range(20))
    for row in rows:
        assert row.status is Status.OK
        assert row.window.offset == 512
        assert row.window.window.start == row.record.variant.start - 512


def test_shared_windows_on_request(world):
    rows = read(world.config(world.snvs(20), windows="shared"), (0, 20))
    assert all(row.window.window.start % 128 == 0 for row in rows)


def test_only_the_asked_rows_are_read(world):
    rows = read(world.config(world.snvs(30)), (2, 4), (4, 5), (20, 22))
    assert [row.record.row for row in rows] == [2, 3, 4, 20, 21]


def test_a_faulty_record_has_a_status_and_no_window(world):
    vcf = world.vcf(["chr9\t1\t.\tA\tC", world.snv("chr1", 1000), "chr1\t2000\t.\tA\t<DEL>"])
    statuses = [(row.status, row.window is None) for row in read(world.config(vcf), (0, 3))]
    assert statuses == [
        (Status.UNKNOWN_CONTIG, True),
        (Status.OK, False),
        (Status.SYMBOLIC, True),
    ]


def test_a_faulty_window_has_a_status(world):
    vcf = world.vcf([world.snv("chrN", 1205)])
    (row,) = read(world.config(vcf), (0, 1))
    assert row.status is Status.N_FRACTION
    assert "N fraction" in row.detail
    assert row.window is not None


@pytest.mark.parametrize(
    ("line", "kind", "message"),
    [
        ("chr9\t1\t.\tA\tC", InputMismatchError, r"in\.vcf:4: UNKNOWN_CONTIG: contig 'chr9'"),
        ("chr1\t0\t.\tA\tC", InputMismatchError, r"in\.vcf:4: POS_RANGE: "),
        ("chr1\t5\t.\tA\t<DEL>", InputFormatError, r"in\.vcf:4: SYMBOLIC: ALT '<DEL>'"),
        ("chr1\t5\t.\tA\t.", InputFormatError, r"in\.vcf:4: NO_ALT"),
        ("chr1\t5\t.\tA\t*", InputFormatError, r"in\.vcf:4: STAR"),
        ("chr1\t5\t.\tA\tA[chr2:9[", InputFormatError, r"in\.vcf:4: BREAKEND"),
        ("chr1\t5\t.\tR\tC", InputFormatError, r"in\.vcf:4: NON_ACGT"),
        ("chr1\t5\t.\tA\tA", InputFormatError, r"in\.vcf:4: REF_EQ_ALT"),
        (f"chr1\t5\t.\tA\t{'A' * 600}", InputFormatError, r"in\.vcf:4: INDEL_TOO_LONG"),
    ],
)
def test_strict_runs_stop_at_the_first_faulty_record(world, line, kind, message):
    vcf = world.vcf([world.snv("chr1", 1000), line])
    with pytest.raises(kind, match=message):
        read(world.config(vcf, on_bad_record="error"), (0, 2))


def test_strict_runs_stop_at_a_faulty_window(world):
    vcf = world.vcf([world.snv("chrN", 1205)])
    with pytest.raises(InputMismatchError, match=r"in\.vcf:3: N_FRACTION"):
        read(world.config(vcf, on_bad_record="error"), (0, 1))


def test_a_wrong_reference_stops_under_its_own_policy(world):
    line = f"chr1\t1000\t.\t{world.other('chr1', 1000)}\tN"
    vcf = world.vcf([line, "chr9\t1\t.\tA\tC"])
    with pytest.raises(InputMismatchError, match=r"in\.vcf:3: REF_MISMATCH: .*--ref_policy=skip"):
        read(world.config(vcf, ref_policy="error"), (0, 2))


def test_other_faults_pass_under_the_policy_for_references(world):
    vcf = world.vcf(["chr9\t1\t.\tA\tC"])
    assert read(world.config(vcf, ref_policy="error"), (0, 1))[0].status is Status.UNKNOWN_CONTIG


def test_a_file_that_lost_rows_is_noticed(world):
    with pytest.raises(InputMismatchError, match=r"3 rows, but at least 5 when the run began"):
        read(world.config(world.snvs(3)), (0, 2), (2, 5))


def test_the_longest_indel_fits_into_the_window(world):
    config = world.config(world.snvs(1))
    assert longest_indel(config, WindowGeometry(196_608, 896)) == 40_960
    assert longest_indel(config, GEOMETRY) == 511
    reference = world.contigs["chr1"][5000:5512]
    (row,) = read(world.config(world.vcf([f"chr1\t5001\t.\t{reference}\t{reference[0]}"])), (0, 1))
    assert row.status is Status.OK
    assert row.window.indel_shift
