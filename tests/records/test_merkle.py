"""Are roots and proofs those of RFC 6962, and is every other proof refused?"""

from __future__ import annotations

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from crews.records.merkle import EMPTY, Edge, Tree, extends, includes, leaf_hash, root_at

DATA = tuple(map(bytes.fromhex, (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)))  # fmt: skip
"""The leaves with which the implementations of RFC 6962 are tested."""
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
LEAVES = [leaf_hash(data) for data in DATA]


def test_the_roots_are_those_of_the_standard() -> None:
    assert EMPTY.hex() == hashlib.sha256().hexdigest()
    edge, tree = Edge(), Tree(LEAVES)
    assert edge.root == root_at(0, lambda _: b"") == EMPTY
    for size, root in enumerate(ROOTS, 1):
        edge.add(LEAVES[size - 1])
        assert edge.root.hex() == tree.root(size).hex() == root


def test_the_proofs_are_those_of_the_standard() -> None:
    tree = Tree(LEAVES)
    assert [h.hex()[:8] for h in tree.inclusion(0)] == ["96a296d2", "5f083f0a", "6b47aaf2"]
    assert [h.hex()[:8] for h in tree.inclusion(5)] == ["bc1a0643", "ca854ea1", "d37ee418"]
    assert [h.hex()[:8] for h in tree.consistency(6)] == ["0ebc5d34", "ca854ea1", "d37ee418"]


@settings(max_examples=80, deadline=None)
@given(size=st.integers(1, 130), data=st.data())
def test_every_entry_and_every_older_log_is_proved_and_nothing_else(
    size: int, data: st.DataObject
) -> None:
    leaves = [leaf_hash(bytes([n])) for n in range(size)]
    tree = Tree(leaves)
    index = data.draw(st.integers(0, size - 1))
    root, proof = tree.root(), tree.inclusion(index)
    assert includes(root, size, index, leaves[index], proof)
    assert not includes(root, size, index, leaf_hash(b"other"), proof)
    assert not includes(root, size, size, leaves[index], proof)
    assert not includes(root, size, index, leaves[index], [*proof, root])
    if proof:
        assert not includes(root, size, index, leaves[index], proof[1:])
        assert not includes(root, size, (index + 1) % size, leaves[index], proof)
    old = index + 1
    path = tree.consistency(old)
    assert extends(tree.root(old), old, root, size, path)
    assert not extends(leaf_hash(b"other"), old, root, size, path)
    assert not extends(tree.root(old), old, leaf_hash(b"other"), size, path)
    assert not extends(tree.root(old), size + 1, root, size, path)
    assert not extends(tree.root(old), old, root, size, [*path, root])


@given(st.lists(st.binary(max_size=8), max_size=70))
def test_the_edge_alone_gives_the_root_of_the_whole(data: list[bytes]) -> None:
    edge = Edge()
    for one in data:
        edge.add(leaf_hash(one))
    assert edge.root == Tree([leaf_hash(one) for one in data]).root()
