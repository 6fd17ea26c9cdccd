"""Fault specs: what they may say, and that a seed decides."""

from collections import Counter

import pytest

from bulkmsg.sandbox.faults import HEAVY, KINDS, FaultError, Faults, parse


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("drop-affter=0.1", "did you mean 'drop-after'"),
        ("nonsense=0.1", "no fault is called 'nonsense'"),
        ("drop-after", "NAME=PROBABILITY"),
        ("drop-after=1.2", "between 0 and 1"),
        ("drop-after=-0.1", "out of range"),
        ("drop-after=nan", "out of range"),
        ("drop-after=often", "'often' is not a number"),
        ("drop-after=0.6,500-before=0.6", "write faults add up to 1.2"),
        ("list-500=0.6,list-drop=0.6", "list faults add up to 1.2"),
        ("drop-after@0", "counts requests from 1"),
        ("drop-after@x", "counts requests from 1"),
        ("slow=0.1:long", "'long' is not a number"),
        ("redirect=0.1:away", "must be a status"),
    ],
)
def test_a_bad_spec_is_refused_with_a_text_that_says_why(spec: str, said: str) -> None:
    with pytest.raises(FaultError, match=said):
        parse(spec)


def test_write_and_list_faults_are_summed_apart() -> None:
    assert len(parse("drop-after=0.9,list-500=0.9").odds) == 2


def test_spaces_and_empty_items_do_no_harm() -> None:
    spec = parse(" drop-after=0.1 ,, slow = 0.2 : 0.5 ")
    assert [(each.fault.kind.name, each.chance) for each in spec.odds] == [("drop-after", 0.1), ("slow", 0.2)]
    assert spec.odds[1].fault.seconds == 0.5


def test_heavy_can_be_read_and_mixed() -> None:
    assert len(parse(f"{HEAVY},list-slow=0.1").odds) == len(parse("heavy").odds) + 1


def test_every_kind_can_be_planned() -> None:
    for name in KINDS:
        assert Faults(f"{name}@1").next(KINDS[name].side) is not None


def test_the_same_seed_gives_the_same_faults_and_another_seed_others() -> None:
    def story(seed: int) -> list[str]:
        faults = Faults(HEAVY, seed)
        return [fault.kind.name if (fault := faults.next("write")) else "" for _ in range(300)]

    assert story(7) == story(7)
    assert story(7) != story(8)


def test_readings_do_not_move_the_faults_of_writes() -> None:
    plain, mixed = Faults(HEAVY, 1), Faults(HEAVY, 1)
    expected = [plain.next("write") for _ in range(100)]
    met = []
    for number in range(100):
        for _ in range(number % 3):
            mixed.next("list")
        met.append(mixed.next("write"))
    assert met == expected


def test_probabilities_come_true_in_the_long_run() -> None:
    faults = Faults("drop-after=0.2,503=0.1", 3)
    met = Counter(fault.kind.name if (fault := faults.next("write")) else "" for _ in range(5000))
    assert 900 < met["drop-after"] < 1100
    assert 400 < met["503"] < 600


def test_a_fault_can_be_fixed_to_one_request() -> None:
    faults = Faults("drop-after@3")
    assert [bool(faults.next("write")) for _ in range(5)] == [False, False, True, False, False]
    assert faults.met == Counter({"drop-after": 1})


def test_no_spec_means_no_faults() -> None:
    faults = Faults("")
    assert not any(faults.next("write") or faults.next("list") for _ in range(100))
