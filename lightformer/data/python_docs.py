"""Real English that every machine has: Python's own documentation."""

from __future__ import annotations

from collections.abc import Iterator

from lightformer.data import stdlib
from lightformer.data.module import DataModule
from lightformer.data.prepared import Split
from lightformer.data.sentences import Document, split_sentences


class PythonDocs(DataModule):
    """The documentation of the running Python: the topics of `help()`, and the docstrings of the
    standard library; about two megabytes. The same Python gives the same text.

    A document is a topic, or all docstrings of a module. By its name it is in training (90%),
    validation or test.
    """

    def sources(self, split: Split) -> dict[str, str]:
        return {stdlib.VERSION: split}

    def documents(self, split: Split) -> Iterator[Document]:
        for name, text in stdlib.topics().items():
            if _split(f"topic {name}") == split:
                yield Document(split_sentences(text))
        for name, docs in stdlib.module_docs().items():
            if _split(name) == split:
                yield Document(split_sentences("\n\n".join(docs)))


def _split(name: str) -> Split:
    place = stdlib.place(name)
    return "train" if place < 0.9 else "validation" if place < 0.95 else "test"
