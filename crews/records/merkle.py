"""Which one hash stands for a whole log, and how is it shown that an entry, or an older log, is part of it?

The Merkle tree of RFC 6962, section 2.1 (RFC 9162 keeps it): SHA-256, a zero byte before a leaf, a one byte before two
halves. Nothing grows but what is appended: the entry that makes the log `n` long keeps the hash of the largest whole
subtree that ends with it (`node`), and from those that lie on the tree's right edge, at most log2(n) of them,
the root is made, and the next node.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

EMPTY = hashlib.sha256(b"").digest()
"""Root of a log without entries."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of one entry."""
    return hashlib.sha256(b"\x00" + data).digest()


def join(left: bytes, right: bytes) -> bytes:
    """The hash of two halves."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def needed(size: int) -> list[int]:
    """Places (from 1) of the nodes from which the node at `size` is made."""
    places: list[int] = []
    width = 1
    while size % (2 * width) == 0:
        places.append(size - width)
        width *= 2
    return places


def node_at(size: int, leaf: bytes, node: Callable[[int], bytes]) -> bytes:
    """The hash of the largest whole subtree that ends with the leaf at place `size` (from 1)."""
    found = leaf
    for place in needed(size):
        found = join(node(place), found)
    return found


def edge(size: int) -> list[int]:
    """Places (from 1) of the nodes that lie on the right edge of a log of this size, last one first."""
    places: list[int] = []
    while size:
        places.append(size)
        size &= size - 1
    return places


def root_at(size: int, node: Callable[[int], bytes]) -> bytes:
    """The root of a log of this size."""
    places = edge(size)
    if not places:
        return EMPTY
    found = node(places[0])
    for place in places[1:]:
        found = join(node(place), found)
    return found


class Edge:
    """A log that is read from its beginning: it keeps the right edge, and nothing else."""

    def __init__(self) -> None:
        self.size = 0
        self._nodes: dict[int, bytes] = {}

    def add(self, leaf: bytes) -> bytes:
        """Take the next leaf; returns its node."""
        self.size += 1
        node = node_at(self.size, leaf, self._nodes.__getitem__)
        self._nodes[self.size] = node
        for place in needed(self.size):
            del self._nodes[place]
        return node

    @property
    def root(self) -> bytes:
        """The root of what was read."""
        return root_at(self.size, self._nodes.__getitem__)


class Tree:
    """A whole log's tree in memory, from which proofs are taken."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._levels = [list(leaves)]
        while len(self._levels[-1]) > 1:
            below = self._levels[-1]
            halves = zip(below[::2], below[1::2], strict=False)
            self._levels.append([join(left, right) for left, right in halves])

    def root(self, size: int | None = None) -> bytes:
        """The root of the first `size` entries; of all without it."""
        return self._hash(0, len(self._levels[0]) if size is None else size)

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """The proof that the entry at `index` (from 0) is in the log of `size` entries."""
        return self._path(index, 0, len(self._levels[0]) if size is None else size)

    def consistency(self, old: int, size: int | None = None) -> list[bytes]:
        """The proof that the log of `old` entries is the beginning of the one of `size`."""
        end = len(self._levels[0]) if size is None else size
        if not 0 < old < end:
            return []
        return self._subproof(old, 0, end, known=True)

    def _hash(self, start: int, end: int) -> bytes:
        width = end - start
        if width == 0:
            return EMPTY
        # Only a part that ends with the log is not whole; it alone is taken apart.
        if width & (width - 1) == 0 and start % width == 0:
            return self._levels[width.bit_length() - 1][start // width]
        half = split(width)
        return join(self._hash(start, start + half), self._hash(start + half, end))

    def _path(self, index: int, start: int, end: int) -> list[bytes]:
        if end - start == 1:
            return []
        middle = start + split(end - start)
        if index < middle:
            return [*self._path(index, start, middle), self._hash(middle, end)]
        return [*self._path(index, middle, end), self._hash(start, middle)]

    def _subproof(self, old: int, start: int, end: int, *, known: bool) -> list[bytes]:
        if old == end:
            return [] if known else [self._hash(start, end)]
        middle = start + split(end - start)
        if old <= middle:
            below = self._subproof(old, start, middle, known=known)
            return [*below, self._hash(middle, end)]
        return [*self._subproof(old, middle, end, known=False), self._hash(start, middle)]


def split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def includes(root: bytes, size: int, index: int, leaf: bytes, proof: Sequence[bytes]) -> bool:
    """Is the leaf at `index` (from 0) in the log with this root? RFC 9162, section 2.1.3.2."""
    if not 0 <= index < size:
        return False
    place, last, found = index, size - 1, leaf
    for other in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = join(other, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = join(found, other)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def extends(old_root: bytes, old: int, root: bytes, size: int, proof: Sequence[bytes]) -> bool:
    """Is the log of `old` entries the beginning of the one of `size`? RFC 9162, section 2.1.4.2."""
    if not 0 < old <= size:
        return False
    if old == size:
        return not proof and old_root == root
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return False
    place, last = old - 1, size - 1
    same = (
        old & -old
    ).bit_length() - 1  # levels at which the old log's last entry ends a whole subtree
    place, last = place >> same, last >> same
    first = second = path[0]
    for other in path[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            first, second = join(other, first), join(other, second)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            second = join(second, other)
        place, last = place >> 1, last >> 1
    return last == 0 and first == old_root and second == root
