import pytest

from tfgen.effects import read_targets
from tfgen.errors import InputFormatError, InputMismatchError

TABLE = "index\tgenome\tidentifier\tfile\tclip\tdescription\n"


def table(tmp_path, text):
    path = tmp_path / "targets.txt"
    path.write_text(text)
    return path


@pytest.fixture
def targets(tmp_path):
    rows = "4\t0\tENC1\tf\t32\tDNASE:one\n0\t0\tENC2\tf\t32\tCAGE:two\n7\t0\tENC3\tf\t32\tthree\n"
    return read_targets(table(tmp_path, TABLE + rows))


def test_a_table_gives_outputs_of_the_head_in_its_order(targets):
    assert targets.indices == (4, 0, 7)
    assert targets.identifiers == ("ENC1", "ENC2", "ENC3")
    assert targets.descriptions == ("DNASE:one", "CAGE:two", "three")
    assert targets.warnings == ()
    assert len(targets) == 3


def test_the_table_of_basenji_without_index_counts_its_rows(shared_data):
    targets = read_targets(shared_data("variant_scores/targets32.txt"))
    assert targets.indices == tuple(range(32))
    assert targets.identifiers[0] == "GSM817172"
    assert targets.descriptions[1].startswith("CAGE:CD8+ T Cells")
    assert "no column 'index'; its 32 rows are taken as outputs 0 to 31" in targets.warnings[0]


def test_the_published_human_table_names_all_outputs(shared_data):
    targets = read_targets(shared_data("enformer_data/cross2020/targets_human.txt"))
    assert targets.indices == tuple(range(5313))
    targets.for_head(5313, "human")
    assert targets.identifiers[0] == "ENCFF833POA"


def test_an_index_beyond_the_head_is_refused(targets):
    targets.for_head(8, "human")
    with pytest.raises(
        InputMismatchError, match=r"'ENC3' has index 7, but the head 'mouse' has 7 outputs"
    ):
        targets.for_head(7, "mouse")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TABLE, "no tracks; expected a row for each"),
        (
            TABLE + "0\t0\tA\tf\t1\td\n1\t0\tA\tf\t1\td\n",
            r"targets.txt:3: identifier 'A' stands in line 2 as well; name each track once",
        ),
        (TABLE + "x\t0\tA\tf\t1\td\n", r"targets.txt:2: index 'x'; expected a whole number"),
        (TABLE + "-1\t0\tA\tf\t1\td\n", "index '-1'; expected a whole number from 0"),
        (TABLE + "²\t0\tA\tf\t1\td\n", "index '²'; expected a whole number"),
        (
            TABLE + "3\t0\tA\tf\t1\td\n3\t0\tB\tf\t1\td\n",
            r"targets.txt:3: index 3 stands in line 2 as well",
        ),
        ("index\tdescription\n", "no column identifier"),
        ("index\tidentifier\n", "no column description"),
    ],
)
def test_faulty_tables_are_refused(tmp_path, text, message):
    with pytest.raises(InputFormatError, match=message):
        read_targets(table(tmp_path, text))


def test_the_published_mouse_table_goes_on_counting_after_the_human_tracks(shared_data):
    # calico/basenji, manuscripts/cross2020: mouse tracks have the indices 5313 to 6955.
    targets = read_targets(shared_data("enformer_data/cross2020/targets_mouse.txt"))
    assert targets.indices[0] == 5313
    assert targets.for_head(1643, "mouse").indices == tuple(range(1643))


def test_a_selection_of_the_mouse_table_is_counted_from_the_first_mouse_track(tmp_path):
    path = tmp_path / "targets.txt"
    path.write_text("index\tidentifier\tdescription\n5320\ta\tA\n6955\tb\tB\n")
    assert read_targets(path).for_head(1643, "mouse").indices == (7, 1642)
    path.write_text("index\tidentifier\tdescription\n5320\ta\tA\n6956\tb\tB\n")
    with pytest.raises(InputMismatchError, match="index 1643"):
        read_targets(path).for_head(1643, "mouse")
