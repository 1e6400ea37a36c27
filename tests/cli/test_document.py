"""Configs that are broken, hostile or surprising."""

import pytest

from lightformer.cli.document import parse_document, read_document
from lightformer.errors import ConfigError

# written out, it would have 3 * 9**23 values
BOMB = "a: &a [1, 2, 3]\n" + "".join(
    f"k{i}: &k{i} [{', '.join(['*' + (f'k{i - 1}' if i else 'a')] * 9)}]\n" for i in range(23)
)

BROKEN = {
    "a: 1\nb:\n  c: 1\n  c: 2\n": "x.yaml:4: 'c' stands here twice, first in line 3; keep one.",
    "a: 1\nb:\n\tc: 1\n": "x.yaml:3: a tab indents this line; YAML takes spaces only.",
    "a: [1, 2\nb: 3": "x.yaml:2: did not find expected ',' or ']'.",
    "a: b: c": "x.yaml:1: mapping values are not allowed in this context.",
    "a: 1\nb: !!python/object/apply:os.getcwd []": (
        "x.yaml:2: the tag !!python/object/apply:os.getcwd is not plain data; leave it out."
    ),
    "a: !mine 3": "x.yaml:1: the tag !mine is not plain data; leave it out.",
    "": "x.yaml is empty; write at least `model:` and `data:`, or leave it out.",
    "# nothing\n": "x.yaml is empty; write at least `model:` and `data:`, or leave it out.",
    "- a\n- b": (
        "x.yaml:1: a config is a mapping, such as `trainer:` with options below it, but this is a list."
    ),
    "a: &a [*a]": "x.yaml:1: this value holds itself through an alias.",
    "a: *b": "x.yaml:1: found undefined alias.",
    "a: " + "[" * 70_000: "x.yaml:1: this is more than 100 levels deep, too deep for a config.",
    BOMB: (
        "x.yaml: its aliases (&, *) write out to more than 20,000 values; "
        "a config holds a few hundred. Write the values themselves."
    ),
}


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_broken_text_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_document(text, "x.yaml")
    assert str(caught.value) == BROKEN[text]


def test_values_read_as_people_mean_them() -> None:
    text = "a: 1e-3\nb: [1, .5, 2020-01-01, -3, 1.5e3, 0x1f]\nc: {d: true, e: null}\nf: 1E5\n"
    assert parse_document(text, "x.yaml").values == {
        "a": 0.001,
        "b": [1, 0.5, "2020-01-01", -3, 1500.0, 31],
        "c": {"d": True, "e": None},
        "f": 100000.0,
    }


def test_merge_keys_and_small_aliases_work() -> None:
    text = "base: &base {p: 1, q: 2}\nb:\n  <<: *base\n  q: 3\n"
    assert parse_document(text, "x.yaml").values["b"] == {"p": 1, "q": 3}


def test_lines_of_keys_are_known() -> None:
    document = parse_document("model:\n  name: x\n  list:\n    - {a: 1}\n    - b: 2\n", "x.yaml")
    assert document.lines[("model", "list", "1", "b")] == 5


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a: \xff\xfe\n", "{file}:1: byte 3 is not UTF-8 text; a config is a YAML file."),
        (b"ok: 1\n\xe9\n", "{file}:2: byte 6 is not UTF-8 text; a config is a YAML file."),
        (b"a: 1\x00\n", "{file} is binary; a config is a YAML file."),
        (b"a" * 200_003, "{file} has more than 200,000 bytes; a config is a short YAML file."),
    ],
)
def test_files_that_are_no_text(tmp_path, content, sentence) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_document(str(file))
    assert str(caught.value) == sentence.format(file=file)


def test_missing_file_and_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlm.yaml").write_text("a: 1")
    with pytest.raises(ConfigError) as caught:
        read_document("mlmm.yaml")
    assert str(caught.value) == (
        "There is no config file 'mlmm.yaml'. Did you mean 'mlm.yaml'? Files there: mlm.yaml."
    )
    with pytest.raises(ConfigError) as caught:
        read_document(".")
    assert str(caught.value) == ". is a folder, but --config takes a YAML file."


def test_byte_order_mark_is_no_part_of_the_text(tmp_path) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert read_document(str(file)).values == {"a": 1, "b": 2}
