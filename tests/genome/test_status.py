from tfgen.genome import Status


def test_members_are_their_own_names() -> None:
    assert all(status.value == status.name == str(status) for status in Status)


def test_checks_come_in_the_documented_order() -> None:
    assert [status.value for status in Status] == [
        "OK", "UNKNOWN_CONTIG", "POS_RANGE", "NO_ALT", "SYMBOLIC", "BREAKEND", "STAR", "NON_ACGT",
        "REF_EQ_ALT", "INDEL_TOO_LONG", "REF_MISMATCH", "WINDOW_OFF_CONTIG", "N_FRACTION",
    ]  # fmt: skip
