import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfgen.errors import UsageError
from tfgen.io.shards import RowRange, choose_rows, parse_rows, shard_range


@given(st.integers(0, 10_000), st.integers(1, 50))
def test_shards_cover_every_row_once_and_are_nearly_equal(n_rows, num_shards):
    shards = [shard_range(n_rows, index, num_shards) for index in range(num_shards)]
    rows = [row for shard in shards for row in range(shard.start, shard.stop)]
    assert rows == list(range(n_rows))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_rows_are_named_or_come_from_the_shard():
    assert choose_rows(10, "", 1, 3) == RowRange(3, 6)
    assert choose_rows(10, "2:10", 0, 1) == RowRange(2, 10)
    assert str(RowRange(2, 10)) == "2:10"


@pytest.mark.parametrize("text", ["5", "a:b", "-1:5", "1:", ":3", "1:2:3", "1.0:2", "²:3"])
def test_unreadable_rows_are_refused(text):
    with pytest.raises(UsageError, match="expected START:STOP, 0-based"):
        parse_rows(text)


def test_rows_in_the_wrong_order_are_refused():
    with pytest.raises(UsageError, match="rows 5:4; expected START:STOP"):
        parse_rows("5:4")


def test_rows_past_the_file_are_refused():
    with pytest.raises(UsageError, match="rows 0:11 reach past the 10 rows of the input"):
        choose_rows(10, "0:11", 0, 1)


@pytest.mark.parametrize(("index", "number"), [(2, 2), (-1, 2), (0, 0)])
def test_a_shard_that_does_not_exist_is_refused(index, number):
    with pytest.raises(UsageError, match="expected 0 <= shard_index < num_shards"):
        shard_range(10, index, number)
