from tfgen.enformer.assembly import HG38, assembly_of
from tfgen.enformer.config import PUBLISHED_HEADS


def test_the_chromosomes_add_up_to_the_published_total():
    # GRCh38, assembled chromosomes without mitochondrion: statistics of GCA_000001405.15.
    assert len(HG38) == 24
    assert sum(HG38.values()) == 3_088_269_832


def test_only_a_model_with_the_published_heads_is_taken_for_one_of_hg38():
    assert assembly_of(PUBLISHED_HEADS) == HG38
    assert assembly_of(PUBLISHED_HEADS[::-1]) == HG38
    assert assembly_of((("human", 5312), ("mouse", 1643))) == {}
    assert assembly_of((("human", 5313),)) == {}
