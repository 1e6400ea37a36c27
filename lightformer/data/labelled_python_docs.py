"""A classification task that every machine has: where in Python does a docstring come from?"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from lightformer.data import stdlib
from lightformer.data.module import DataModule
from lightformer.data.prepared import Split
from lightformer.data.sentences import Document

FAMILIES = {
    "concurrency": """asyncio multiprocessing threading concurrent queue sched subprocess signal
        selectors contextvars asyncore asynchat _threading_local""",
    "text and data formats": """string re difflib textwrap codecs locale gettext stringprep shlex
        rlcompleter unicodedata json csv configparser plistlib pickle pickletools sqlite3 shelve
        dbm copyreg tomllib netrc xdrlib zoneinfo datetime _pydatetime calendar _strptime uuid
        base64 struct binascii quopri uu hashlib hmac secrets wave aifc sunau chunk""",
    "files": """pathlib os shutil tempfile glob fnmatch stat fileinput filecmp io _pyio zipfile
        tarfile gzip bz2 lzma posixpath ntpath genericpath linecache zipapp compression
        _compression""",
    "graphics": "tkinter turtle curses colorsys",
    "internet": """http urllib ftplib smtplib smtpd poplib imaplib nntplib socket socketserver
        ssl telnetlib xmlrpc wsgiref webbrowser ipaddress cgi cgitb""",
    "language": """ast dis inspect importlib imp pkgutil tokenize symtable compileall py_compile
        code codeop modulefinder runpy typing abc _py_abc opcode zipimport pyclbr tabnanny
        annotationlib keyword token pydoc""",
    "mail and markup": "email html xml mailbox mimetypes mailcap _markupbase",
    "numbers and containers": """_pydecimal decimal fractions numbers statistics random
        collections _collections_abc enum heapq bisect weakref _weakrefset types copy dataclasses
        functools operator graphlib reprlib cmath array""",
    "packaging and system": """distutils venv site sysconfig platform ctypes _osx_support
        _aix_support optparse argparse getopt cmd getpass pty pipes crypt""",
    "testing and debugging": """unittest doctest pdb bdb trace profile cProfile pstats timeit
        traceback tracemalloc logging warnings faulthandler pprint""",
}
"""Packages and modules of the standard library, by what they are for."""

_WORDS = 8
_SHARE = 0.12


class LabelledPythonDocs(DataModule):
    """Docstrings of the standard library, and which of ten families of modules each is from.

    All docstrings of a file are in the same split, so that nothing leaks; about a tenth of each
    family is for validation, and a tenth for the test. The same Python gives the same text.
    """

    default_examples = "labelled"

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(sorted(FAMILIES))

    def sources(self, split: Split) -> dict[str, str]:
        return {stdlib.VERSION: f"{split}, labelled"}

    def documents(self, split: Split) -> Iterator[Document]:
        docs = stdlib.module_docs()
        for number, family in enumerate(self.labels):
            for module in sorted(_modules(family)):
                if _splits(family)[module] == split:
                    for doc in filter(_long_enough, docs[module]):
                        yield Document([doc], number)


def _long_enough(doc: str) -> bool:
    return len(doc.split()) >= _WORDS


def _modules(family: str) -> dict[str, int]:
    """The files of a family, and how many docstrings each has."""
    members = set(FAMILIES[family].split())
    counts = {
        name: sum(map(_long_enough, docs))
        for name, docs in stdlib.module_docs().items()
        if name.split(".")[0] in members
    }
    return {name: count for name, count in counts.items() if count}


@cache
def _splits(family: str) -> dict[str, Split]:
    """Deals the files out, in an order that their names decide; the largest stay in training."""
    counts = _modules(family)
    room: dict[Split, float] = {
        split: _SHARE * sum(counts.values()) for split in ("validation", "test")
    }
    found: dict[str, Split] = dict.fromkeys(counts, "train")
    for name in sorted(counts, key=stdlib.place):
        roomy = max(room, key=room.__getitem__)
        if counts[name] <= room[roomy] and len(counts) > 2:
            found[name] = roomy
            room[roomy] -= counts[name]
    return found
