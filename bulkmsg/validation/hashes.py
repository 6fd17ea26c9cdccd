"""A bag of 64-bit hashes that costs 8 bytes each: finds what occurs twice, and counts what differs."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

_BUCKETS = 256


class HashBag:
    """Sorted into buckets by their top byte, so that only a small part is ever expanded to be looked at."""

    def __init__(self) -> None:
        self.buckets = [array("Q") for _ in range(_BUCKETS)]

    def add(self, number: int) -> None:
        """Args: number: 0 to 2**64 - 1, evenly spread (a cryptographic hash)."""
        self.buckets[number >> 56].append(number)

    def __contains__(self, number: int) -> bool:
        return number in self.buckets[number >> 56]

    def repeated(self) -> set[int]:
        """Those that were added more than once."""
        found: set[int] = set()
        for bucket in self.buckets:
            if len(set(bucket)) != len(bucket):
                seen: set[int] = set()
                for number in bucket:
                    (found if number in seen else seen).add(number)
        return found

    def shared(self, other: HashBag) -> Iterator[int]:
        """Those that were added to both, each once."""
        for mine, theirs in zip(self.buckets, other.buckets, strict=True):
            yield from set(mine) & set(theirs) if mine and theirs else ()

    def distinct(self) -> int:
        return sum(len(set(bucket)) for bucket in self.buckets)


class SizedBag:
    """A bag of 64-bit hashes, each with a size: 16 bytes each. Adds up the sizes of those that differ."""

    def __init__(self) -> None:
        self._hashes = HashBag()
        self._sizes = [array("Q") for _ in range(_BUCKETS)]

    def add(self, number: int, size: int) -> None:
        self._hashes.add(number)
        self._sizes[number >> 56].append(size)

    def repeated(self) -> set[int]:
        return self._hashes.repeated()

    def distinct(self) -> tuple[int, int]:
        """How many differ, and their sizes together."""
        count = total = 0
        for numbers, sizes in zip(self._hashes.buckets, self._sizes, strict=True):
            differ = dict(zip(numbers, sizes, strict=True))
            count, total = count + len(differ), total + sum(differ.values())
        return count, total
