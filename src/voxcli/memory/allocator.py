"""Allocations and frees in order -> what PyTorch's caching allocator for CUDA reserves, and the least it can live with.

The rules are those of c10/cuda/CUDACachingAllocator.cpp (torch 2.13) for one stream: sizes are rounded to 512 bytes;
what is at most 1 MiB lives in segments of 2 MiB, the rest in segments of 20 MiB or, from 10 MiB on, of its own size
rounded to 2 MiB; the smallest free block that is large enough is taken, split where enough is left, and joined with its
free neighbours when it comes back. Segments return to the device only when memory runs out. With expandable segments
there is one growing segment for each of the two kinds, and whole pages of free blocks return.
"""

from __future__ import annotations

import bisect
from collections.abc import Hashable, Iterable, Sequence

MIB = 2**20
MIN_BLOCK = 512
SMALL = MIB  # the largest "small" allocation
SMALL_SEGMENT = 2 * MIB
LARGE_SEGMENT = 20 * MIB
OWN_SEGMENT = 10 * MIB  # allocations from here on get a segment of their own size
ROUND_LARGE = 2 * MIB
_ENDLESS = 2**60  # address space of an expandable segment

Event = tuple[Hashable, int]
"""(which storage, bytes): positive where it comes into being, otherwise where it goes."""


class OutOfMemory(Exception):
    """The capacity does not hold what is asked for, whatever is given back."""


def rounded(size: int) -> int:
    """Bytes that the allocator hands out for `size` bytes; 0 for nothing."""
    return -(-size // MIN_BLOCK) * MIN_BLOCK


def allocated(events: Iterable[Event]) -> int:
    """The most bytes handed out at one time: `torch.cuda.max_memory_allocated`."""
    alive: dict[Hashable, int] = {}
    now = most = 0
    for which, size in events:
        now -= alive.pop(which, 0)
        if size > 0:
            alive[which] = rounded(size)
            now += alive[which]
            most = max(most, now)
    return most


def reserved(events: Iterable[Event], *, expandable: bool = False, capacity: int | None = None) -> int:
    """The most bytes taken from the device at one time: `torch.cuda.max_memory_reserved`.

    `capacity` is what the device has for the allocator, bytes; None for as much as it wants. Raises `OutOfMemory`.
    """
    allocator = _Expandable(capacity) if expandable else _Segments(capacity)
    held: dict[Hashable, _Block] = {}
    for which, size in events:
        if (block := held.pop(which, None)) is not None:
            allocator.free(block)
        if size > 0:
            held[which] = allocator.allocate(size)
    return allocator.most


def smallest_capacity(events: Sequence[Event], *, expandable: bool = False, precision: float = 0.005) -> int:
    """The least capacity in which all of it fits, bytes, to within `precision` of it (never too small)."""
    low, high = allocated(events), reserved(events, expandable=expandable)
    while high - low > max(precision * high, ROUND_LARGE):
        middle = (low + high) // 2
        try:
            high = min(middle, reserved(events, expandable=expandable, capacity=middle))
        except OutOfMemory:
            low = middle
    return high


class _Block:
    """A stretch of a segment between two neighbours."""

    __slots__ = ("address", "free", "mapped", "next", "previous", "size", "small")

    def __init__(self, address: int, size: int, *, small: bool, mapped: bool = True) -> None:
        self.address, self.size, self.small, self.mapped = address, size, small, mapped
        self.free = True
        self.previous: _Block | None = None
        self.next: _Block | None = None

    def cut(self, size: int) -> _Block:
        """Keep the first `size` bytes; the rest is a new block of the same kind behind it."""
        rest = _Block(self.address + size, self.size - size, small=self.small, mapped=self.mapped)
        rest.previous, rest.next = self, self.next
        if rest.next is not None:
            rest.next.previous = rest
        self.next, self.size = rest, size
        return rest

    def swallow_next(self) -> None:
        """Become one with the block behind."""
        assert self.next is not None
        self.size += self.next.size
        self.next = self.next.next
        if self.next is not None:
            self.next.previous = self


class _Pool:
    """Free blocks by size, then address."""

    def __init__(self) -> None:
        self.blocks: list[tuple[int, int, _Block]] = []

    def add(self, block: _Block) -> None:
        bisect.insort(self.blocks, (block.size, block.address, block))

    def remove(self, block: _Block) -> None:
        del self.blocks[bisect.bisect_left(self.blocks, (block.size, block.address))]

    def fitting(self, size: int) -> int:
        """Position of the smallest block that holds `size`; the number of blocks where none does."""
        return bisect.bisect_left(self.blocks, (size,))


class _Segments:
    """The allocator as it is by default."""

    def __init__(self, capacity: int | None) -> None:
        self.capacity = capacity
        self.taken = self.most = 0
        self.pools = {True: _Pool(), False: _Pool()}
        self._address = 0

    def allocate(self, size: int) -> _Block:
        size = rounded(size)
        small = size <= SMALL
        block = self._cached(size, small)
        if block is None:
            try:
                block = self._taken(size, small)
            except OutOfMemory:
                self._give_back()
                block = self._taken(size, small)
        block.free = False
        if block.size - size >= self._worth_splitting(small):
            rest = block.cut(size)
            self.pools[small].add(rest)
        return block

    def free(self, block: _Block) -> _Block:
        """The free block that it is part of now."""
        pool = self.pools[block.small]
        block.free = True
        if block.next is not None and block.next.free and block.next.mapped:
            pool.remove(block.next)
            block.swallow_next()
        before = block.previous
        if before is not None and before.free and before.mapped:
            pool.remove(before)
            before.swallow_next()
            block = before
        pool.add(block)
        return block

    def _worth_splitting(self, small: bool) -> int:
        """The least remainder that becomes a block of its own."""
        return MIN_BLOCK if small else SMALL + 1

    def _cached(self, size: int, small: bool) -> _Block | None:
        pool = self.pools[small]
        position = pool.fitting(size)
        return pool.blocks.pop(position)[2] if position < len(pool.blocks) else None

    def _taken(self, size: int, small: bool) -> _Block:
        wanted = (
            SMALL_SEGMENT if small else LARGE_SEGMENT if size < OWN_SEGMENT else -(-size // ROUND_LARGE) * ROUND_LARGE
        )
        self._take(wanted)
        block = _Block(self._address, wanted, small=small)
        self._address += wanted + ROUND_LARGE  # never next to each other
        return block

    def _take(self, size: int) -> None:
        """Count what comes from the device."""
        if self.capacity is not None and self.taken + size > self.capacity:
            raise OutOfMemory
        self.taken += size
        self.most = max(self.most, self.taken)

    def _give_back(self) -> None:
        """Return to the device whole segments that are free."""
        for pool in self.pools.values():
            whole = [entry for entry in pool.blocks if entry[2].previous is None and entry[2].next is None]
            for entry in whole:
                self.pools[entry[2].small].remove(entry[2])
                self.taken -= entry[0]


class _Expandable(_Segments):
    """With PYTORCH_ALLOC_CONF=expandable_segments:True."""

    def __init__(self, capacity: int | None) -> None:
        super().__init__(capacity)
        self._first = {small: _Block(0, _ENDLESS, small=small, mapped=False) for small in (True, False)}

    def _worth_splitting(self, small: bool) -> int:
        return MIN_BLOCK

    def _cached(self, size: int, small: bool) -> _Block | None:
        """The smallest fit, but a block that could still grow counts as large as it could become."""
        blocks = self.pools[small].blocks
        position = self.pools[small].fitting(size)
        if position == len(blocks):
            return None
        while position + 1 < len(blocks) and _could_be(blocks[position + 1][2]) < _could_be(blocks[position][2]):
            position += 1
        return blocks.pop(position)[2]

    def _taken(self, size: int, small: bool) -> _Block:
        block = self._stretch(size, small)
        if not block.mapped:
            block = self._map(block, min(block.size, size))
        while block.size < size:
            assert block.next is not None
            block = self._map(block.next, min(block.next.size, size - block.size))
        self.pools[small].remove(block)
        return block

    def _stretch(self, size: int, small: bool) -> _Block:
        """The first block by address from which `size` bytes are free or can be mapped."""
        block: _Block | None = self._first[small]
        while block is not None:
            if not block.mapped:
                start = block
                if start.previous is not None and start.previous.free:
                    start = start.previous
                reach = 0
                at: _Block | None = start
                while at is not None and at.free and reach < size:
                    reach, at = reach + at.size, at.next
                if reach >= size:
                    return start
            block = block.next
        raise OutOfMemory

    def _map(self, block: _Block, size: int) -> _Block:
        """Map the first `size` bytes, in whole pages; the free block that they are now part of."""
        page = SMALL_SEGMENT if block.small else LARGE_SEGMENT
        pages = min(block.size, -(-size // page) * page)
        self._take(pages)
        if pages < block.size:
            block.cut(pages)
        block.mapped = True
        return self.free(block)

    def _give_back(self) -> None:
        """Return to the device whole pages inside free blocks."""
        for small, pool in self.pools.items():
            page = SMALL_SEGMENT if small else LARGE_SEGMENT
            for _, _, block in list(pool.blocks):
                begin = -(-block.address // page) * page
                end = (block.address + block.size) // page * page
                if begin >= end:
                    continue
                pool.remove(block)
                if begin > block.address:
                    inner = block.cut(begin - block.address)
                    pool.add(block)
                    block = inner
                if end < block.address + block.size:
                    pool.add(block.cut(end - block.address))
                block.mapped = False
                self.taken -= block.size
                for first in (block, block.previous):
                    if first is not None and not first.mapped and first.next is not None and not first.next.mapped:
                        first.swallow_next()


def _could_be(block: _Block) -> int:
    following = block.next
    return block.size + (following.size if following is not None and not following.mapped else 0)
