"""The list of bad files. `python tests/data/reading/bad_files.py > docs/bad-files.md` writes the page of it."""

from __future__ import annotations

import gzip
from typing import NamedTuple

import pyarrow
from pyarrow import parquet

from lightformer.data.reading.lines import LONGEST

WRONG_KIND = (
    " is of an unknown kind; it must be one of .txt, .jsonl, .json, .csv, .tsv, .parquet, "
    "or one of these with .gz or .zst."
)
COLUMNS = "put quotes around text that holds the separator."
NOT_UTF8 = "convert the file, or set data.encoding."
NO_TEXT = "this is not a text file."
OPEN = "is a quote left open?"
WITHOUT_LINE = "the line"
WITHOUT_ROW = "the row"
WITHOUT_FILE = "the file"
NEVER = "it always stops"


class BadFile(NamedTuple):
    """A file with one fault.

    Args:
        what: is wrong with it
        name: of the file
        content: of the file
        reason: what is said, after the name of the file
        left_out: what is left out where faults are skipped
        kept: the texts that are read then
    """

    what: str
    name: str
    content: bytes
    reason: str
    left_out: str
    kept: tuple[str, ...] = ()


def parquet_of(*texts: bytes) -> bytes:
    """Returns a Parquet file with a column of text, which may hold bytes that are none."""
    column = pyarrow.array(texts, pyarrow.binary()).cast(pyarrow.string(), safe=False)
    file = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.table({"text": column}), file)
    return bytes(file.getvalue())


BAD_FILES = [
    BadFile("a kind that cannot be read", "rows.docx", b"x", WRONG_KIND, NEVER),
    BadFile("a name without a kind", "rows", b"x", WRONG_KIND, NEVER),
    BadFile("compressed twice", "rows.txt.zst.gz", b"x", WRONG_KIND, NEVER),
    BadFile(
        "Parquet that is compressed once more",
        "rows.parquet.gz",
        b"x",
        " must be unpacked first; .parquet files are compressed inside.",
        NEVER,
    ),
    BadFile("nothing in it", "empty.txt", b"", " is empty.", WITHOUT_FILE),
    BadFile("nothing in it", "empty.txt.gz", b"", " is empty.", WITHOUT_FILE),
    BadFile("nothing in it", "empty.txt.zst", b"", " is empty.", WITHOUT_FILE),
    BadFile("nothing in it", "empty.csv", b"", " is empty.", WITHOUT_FILE),
    BadFile("only white space", "blank.txt", b"\n\t\r\n", " holds only blank lines.", WITHOUT_FILE),
    BadFile("only white space", "blank.jsonl", b" \n\n", " holds only blank lines.", WITHOUT_FILE),
    BadFile("only a header", "header.csv", b"text,label\n\n", " has no rows.", WITHOUT_FILE),
    BadFile("an empty list", "none.json", b"[]", " has no rows.", WITHOUT_FILE),
    BadFile(
        "no archive",
        "no.gz.txt.gz",
        b"one two",
        " cannot be read (Not a gzipped file (b'on')).",
        WITHOUT_FILE,
    ),
    BadFile(
        "no archive",
        "no.zst.txt.zst",
        b"one two",
        " cannot be read (ZSTD decompress failed: Unknown frame descriptor).",
        WITHOUT_FILE,
    ),
    BadFile(
        "an archive that is cut off",
        "cut.txt.gz",
        gzip.compress(b"one\ntwo\nthree")[:-3],
        " can be read up to line 3 only (Compressed file ended before the end-of-stream marker was "
        "reached); copy it anew.",
        "the rest",
        ("one\ntwo\n",),
    ),
    BadFile(
        "no Parquet, or half of it",
        "half.parquet",
        b"PAR1 one two",
        " is no whole Parquet file (Parquet magic bytes not found in footer. Either the file is "
        "corrupted or this is not a parquet file.).",
        WITHOUT_FILE,
    ),
    BadFile(
        "bytes that are no text",
        "latin.txt",
        b"one\n\xfcber\ntwo",
        f", line 2 is not utf-8: byte 4 is 0xfc; {NOT_UTF8}",
        WITHOUT_LINE,
        ("one\ntwo",),
    ),
    BadFile(
        "bytes that are no text",
        "latin.jsonl",
        b'{"text": "a"}\n{"text": "\xfcb\xe9r"}\n{"text": "b"}\n',
        f", line 2 is not utf-8: byte 24 is 0xfc; {NOT_UTF8}",
        WITHOUT_LINE,
        ("a", "b"),
    ),
    BadFile(
        "bytes that are no text",
        "latin.csv",
        b'text,n\none,1\n"two\n\xfcber",2\nthree,3\n',
        f", line 4 is not utf-8: byte 18 is 0xfc; {NOT_UTF8}",
        WITHOUT_ROW,
        ("one", "three"),
    ),
    BadFile(
        "bytes that are no text",
        "latin.json",
        b'[{"text": "a"},\n{"text": "\xfcber"}]',
        f", line 2 is not utf-8: byte 26 is 0xfc; {NOT_UTF8}",
        WITHOUT_FILE,
    ),
    BadFile(
        "bytes that are no text",
        "latin.parquet",
        parquet_of(b"one", b"\xc3\xbcb\xe9r", b"two"),
        ", row 2 is not utf-8 in 'text': byte 3 is 0xe9; convert the file.",
        WITHOUT_ROW,
        ("one", "two"),
    ),
    BadFile(
        "a character that is cut off",
        "cut.tsv",
        b"text\nmoon\nriver\xe6\x97",
        f", line 3 is not utf-8: byte 15 is 0xe6; {NOT_UTF8}",
        WITHOUT_ROW,
        ("moon",),
    ),
    BadFile(
        "NUL bytes",
        "nul.txt",
        b"one\ntwo\0\0\nthree",
        f", line 2 has a NUL byte (byte 7): {NO_TEXT}",
        WITHOUT_LINE,
        ("one\nthree",),
    ),
    BadFile(
        "NUL bytes",
        "nul.csv",
        b"text\na\0b\nc\n",
        f", line 2 has a NUL byte (byte 6): {NO_TEXT}",
        WITHOUT_ROW,
        ("c",),
    ),
    BadFile(
        "NUL bytes",
        "nul.jsonl",
        b'\0\0\0\0\n{"text": "a"}\n',
        f", line 1 has a NUL byte (byte 0): {NO_TEXT}",
        WITHOUT_LINE,
        ("a",),
    ),
    BadFile(
        "a faulty header",
        "header.tsv",
        b"t\xebxt\tlabel\none\t1\n",
        f", line 1 is not utf-8: byte 1 is 0xeb; {NOT_UTF8}",
        WITHOUT_FILE,
    ),
    BadFile(
        "a column twice",
        "twice.tsv",
        b"text\ta\ttext\n",
        ", line 1 names the column 'text' twice; rename one.",
        WITHOUT_FILE,
    ),
    BadFile(
        "a quote that is left open in the header",
        "open.tsv",
        b'text\t"label\none\t1\n',
        f", line 1 cannot be read: unexpected end of data; {OPEN} Then the next line is part of it.",
        WITHOUT_FILE,
    ),
    BadFile(
        "a quote that is left open",
        "open.csv",
        b'text,label\none,1\ntwo,"2\nthree,3\nfour,\xff\n',
        f", line 3 cannot be read: unexpected end of data; {OPEN} "
        "Then the next 2 lines are part of it.",
        "the rest",
        ("one",),
    ),
    BadFile(
        "text after a quote",
        "after.csv",
        b'text\n"one" 1\ntwo\n',
        f", line 2 cannot be read: ',' expected after '\"'; {OPEN}",
        WITHOUT_ROW,
        ("two",),
    ),
    BadFile(
        "text after a quote",
        "after.tsv",
        b'"text"x\tlabel\ntext\t1\none\t2\n',
        f", line 1 cannot be read: '\t' expected after '\"'; {OPEN}",
        WITHOUT_FILE,
    ),
    BadFile(
        "more columns than the header",
        "extra.csv",
        b"text,label\n\none,1\ntwo,2,extra\n",
        f", line 4 has 3 columns, but the header has 2; {COLUMNS}",
        WITHOUT_ROW,
        ("one",),
    ),
    BadFile(
        "fewer columns than the header",
        "short.tsv",
        b"text\tlabel\none\ntwo\t2\n",
        f", line 2 has 1 columns, but the header has 2; {COLUMNS}",
        WITHOUT_ROW,
        ("two",),
    ),
    BadFile(
        "broken JSON",
        "broken.jsonl",
        b'{"text": "a"}\n{"text": \n{"text": "b"}\n',
        ", line 2, column 10 is broken JSON: Expecting value.",
        WITHOUT_LINE,
        ("a", "b"),
    ),
    BadFile(
        "a last line that is cut off",
        "cut.jsonl",
        b'{"text": "a"}\n\n{"text": "b',
        ", line 3, column 10 is broken JSON: Unterminated string starting at.",
        WITHOUT_LINE,
        ("a",),
    ),
    BadFile(
        "a number of thousands of digits",
        "digits.jsonl",
        b'{"text": "a"}\n{"label": ' + b"1" * 9999 + b"}\n",
        ", line 2 is broken JSON: a whole number may have 4,300 digits, and one has more; "
        "make it text.",
        WITHOUT_LINE,
        ("a",),
    ),
    BadFile(
        "broken JSON",
        "broken.json",
        b'[\n{"text": "a"},\n{"text"',
        ", line 3, column 8 is broken JSON: Expecting ':' delimiter.",
        WITHOUT_FILE,
    ),
    BadFile(
        "one object a line, but named .json",
        "lines.json",
        b'{"text": "a"}\n{"text": "b"}\n',
        ", line 2, column 1 is broken JSON: Extra data; is it one object a line, it is .jsonl.",
        WITHOUT_FILE,
    ),
    BadFile(
        "no list",
        "object.json",
        b'{"text": "a"}',
        " must be a list of objects, but is an object.",
        WITHOUT_FILE,
    ),
    BadFile(
        "nested without end",
        "deep.json",
        b"[" * 99_999,
        " is broken JSON: it is nested too deeply.",
        WITHOUT_FILE,
    ),
    BadFile(
        "a row that is no object",
        "list.jsonl",
        b'["b"]\n{"text": "a"}\n',
        ", line 1 must be an object such as {'text': ...}, but is a list.",
        WITHOUT_LINE,
        ("a",),
    ),
    BadFile(
        "a row that is no object",
        "null.json",
        b'[null, {"text": "a"}]',
        ", row 1 must be an object such as {'text': ...}, but is null.",
        WITHOUT_ROW,
        ("a",),
    ),
    BadFile(
        "a key twice",
        "twice.jsonl",
        b'{"text": "a"}\n{"text": "a", "b": 1, "text": "b"}\n',
        ", line 2 has the key 'text' twice; keep one.",
        WITHOUT_LINE,
        ("a",),
    ),
    BadFile(
        "a key twice",
        "twice.json",
        b'[{"text": "a"},\n{"b": 1, "b": 2}]',
        ", row 2 has the key 'b' twice; keep one.",
        WITHOUT_ROW,
        ("a",),
    ),
    BadFile(
        "a field that lacks",
        "field.jsonl",
        b'{"text": "a"}\n{"txt": "b"}\n',
        ", line 2 has no 'text'. Did you mean 'txt'? Columns: txt.",
        WITHOUT_LINE,
        ("a",),
    ),
    BadFile(
        "null for text",
        "null.jsonl",
        b'{"text": null}\n{"text": "b"}\n',
        ", line 1 must have text in 'text', but has null.",
        WITHOUT_LINE,
        ("b",),
    ),
    BadFile(
        "a number for text",
        "number.jsonl",
        b'{"text": 3}\n{"text": "b"}\n',
        ", line 1 must have text in 'text', but has the value 3.",
        WITHOUT_LINE,
        ("b",),
    ),
    BadFile(
        "half a character",
        "half.jsonl",
        b'{"text": "a"}\n{"text": "ab\\ud800"}\n',
        ", line 2 must have text in 'text', but character 3 is half a character (\\ud800).",
        WITHOUT_LINE,
        ("a",),
    ),
    BadFile(
        "a NUL that is written as text",
        "nul.json",
        b'[{"text": "a"}, {"text": "ab\\u0000"}]',
        ", row 2 must have text in 'text', but character 3 is a NUL.",
        WITHOUT_ROW,
        ("a",),
    ),
]

GOOD_ROWS = b"text,label\none,yes\ntwo,no\n"
NO_LABEL = "leave such rows out."


def labelled(what: str, name: str, row: str, reason: str) -> BadFile:
    """Returns rows for a classifier, beside which `GOOD_ROWS` are in `good.csv` of the same folder."""
    content = f'{{"text": "three", "label": "no"}}\n{row}\n{{"text": "four", "label": "yes"}}\n'
    return BadFile(what, name, content.encode(), reason, WITHOUT_ROW, ("three", "four"))


BAD_ROWS = [
    labelled(
        "labels of two kinds",
        "train/kinds.jsonl",
        '{"text": "x", "label": 1}',
        ", line 2 has a number as 'label' (1), but train/good.csv, line 2 has a word ('yes'); "
        "use one kind throughout.",
    ),
    labelled(
        "labels of two kinds",
        "validation/kinds.jsonl",
        '{"text": "x", "label": 1}',
        ", line 2 has a number as 'label' (1), but a training row has a word ('yes'); "
        "use one kind throughout.",
    ),
    labelled(
        "a label that is no number",
        "train/nan.jsonl",
        '{"text": "x", "label": NaN}',
        ", line 2 must have a word or a whole number as 'label', but has nan.",
    ),
    labelled(
        "a label with half a character",
        "train/half.jsonl",
        '{"text": "x", "label": "a\\ud800"}',
        ", line 2 must have text in 'label', but character 2 is half a character (\\ud800).",
    ),
    labelled(
        "a label that is nothing",
        "train/null.jsonl",
        '{"text": "x", "label": null}',
        ", line 2 must have a word or a whole number as 'label', but has nothing.",
    ),
    labelled(
        "a row that is marked as one without a label",
        "train/minus.jsonl",
        '{"text": "x", "label": -1}',
        f", line 2 has the 'label' -1, which mostly marks a row without one; {NO_LABEL}",
    ),
    labelled(
        "a row that is marked as one without a label",
        "validation/ignored.jsonl",
        '{"text": "x", "label": -100}',
        f", line 2 has the 'label' -100, which mostly marks a row without one; {NO_LABEL}",
    ),
    labelled(
        "a label in validation that no training row has",
        "validation/new.jsonl",
        '{"text": "x", "label": "maybe"}',
        ", line 2 has the 'label' 'maybe', which no training row has. Known: no, yes.",
    ),
    labelled(
        "a row without a label",
        "train/without.jsonl",
        '{"text": "x"}',
        ", line 2 has no 'label'. Columns: text.",
    ),
    labelled(
        "a row without text",
        "train/blank.jsonl",
        '{"text": " ", "label": "yes"}',
        f", line 2 has no text; {NO_LABEL}",
    ),
]

HEAD = f"""# Bad files

A file that cannot be read ends `lightformer prepare`, and a fit before anything is trained, with one sentence and exit
code 3. With `data.on_error: skip` the smallest part with the fault is left out instead, counted, and named in the
`meta.json` of the tokens and by `lightformer data show`. A row of more than {LONGEST:,} characters is a fault, too.
A file that changes while it is read always stops. Nothing of yours is changed.

The tests run every line of this table; `tests/data/reading/bad_files.py` writes it.

| what is wrong | what is said | left out where faults are skipped |
|---|---|---|
"""


def page() -> str:
    """Returns the page in the docs."""
    rows = (
        f"| {bad.what} | {bad.name}{bad.reason} | {bad.left_out} |\n".replace("\t", "\\t")
        for bad in BAD_FILES + BAD_ROWS
    )
    return HEAD + "".join(rows)


if __name__ == "__main__":
    print(page(), end="")
