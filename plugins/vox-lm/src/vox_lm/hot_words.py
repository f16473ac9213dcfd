"""Words and phrases that are expected: a bonus that grows as they are spelt, and is taken back where they are not."""

from __future__ import annotations

from collections.abc import Sequence


class Node:
    """A place within the hot words, character by character."""

    __slots__ = ("bonus", "children", "depth", "length", "whole")

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.children: dict[str, Node] = {}
        self.whole = False
        """A hot word or phrase ends here."""
        self.length = 0
        """Characters of the shortest phrase that leads through here."""
        self.bonus = 0.0


class HotWords:
    """All hot words and phrases, spelt out as a tree."""

    def __init__(self, phrases: Sequence[str], *, weight: float) -> None:
        self.root = Node(0)
        self.weight = weight
        self.words: frozenset[str] = frozenset(word for phrase in phrases for word in phrase.split())
        self._parts = frozenset(word[:length] for word in self.words for length in range(1, len(word) + 1))
        for phrase in phrases:
            text = " ".join(phrase.split())
            node = self.root
            for character in text:
                child = node.children.get(character)
                if child is None:
                    child = node.children[character] = Node(node.depth + 1)
                child.length = min(child.length or len(text), len(text))
                node = child
            node.whole = True
        self._weigh(self.root)

    def _weigh(self, node: Node) -> None:
        for child in node.children.values():
            child.bonus = self.weight * child.depth / child.length
            self._weigh(child)

    def begins(self, part: str) -> bool:
        """Whether a hot word begins so."""
        return part in self._parts

    def spelt(self, node: Node | None, word: str, character: str) -> tuple[Node | None, float]:
        """(where we are, what is kept for good) after one character more; `word` is what the word has so far.

        The bonus of a node counts until it is left: kept where a whole phrase ends with its word, else taken back.
        """
        if character == " ":
            if node is None:
                return None, 0.0
            return (None, self.weight) if node.whole else (node.children.get(" "), 0.0)
        found = node.children.get(character) if node is not None else None
        if found is None and (node is not None or not word):  # no longer that phrase: one that begins with this word
            found = self.root
            for one in word + character:
                found = found.children.get(one) if found is not None else None
        return found, 0.0
