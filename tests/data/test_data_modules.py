from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from corpora import sentences
from pyarrow import parquet

from lightformer import examples, masking
from lightformer.data import (
    DataModule,
    LabelledFiles,
    LabelledPythonDocs,
    PythonDocs,
    TextFiles,
    TokenizerConfig,
    stdlib,
)
from lightformer.errors import ConfigError, DataError
from lightformer.examples import Corpus

Write = Callable[[str, "str | bytes"], Path]
SPLITS = ("train", "validation", "test")


def corpus_of(data: DataModule, split: Any) -> Corpus | None:
    """The one part of a split."""
    corpora = data.corpora(split)
    assert len(corpora) <= 1
    return corpora[0][0] if corpora else None


def read(data: DataModule, split: Any) -> str:
    corpus = corpus_of(data, split)
    assert corpus is not None
    return data.tokenizer.decode(
        corpus.tokens[corpus.start : corpus.stop], skip_special_tokens=False
    )


def characters(path: Path, **options: Any) -> TextFiles:
    options = {"tokenizer": TokenizerConfig("characters"), "batch_size": 3, **options}
    return TextFiles(train=str(path), cache_dir=str(path.parent / "cache"), **options)


def test_a_single_text_is_cut_at_nine_tenths_to_the_character(write: Write) -> None:
    text = " " + sentences(101, 0) + "\n\n  end\n"
    data = characters(write("a.txt", text))
    cut = int(len(text) * 0.9)
    assert read(data, "train") == text[:cut]
    assert read(data, "validation") == text[cut:]
    assert data.vocabulary.size == 5 + len(set(text))
    assert corpus_of(data, "test") is None
    assert len(data.test_dataloader()) == len(data.val_dataloader())


def test_documents_are_kept_apart_and_the_last_ones_are_for_validation(text_file: Path) -> None:
    data = characters(text_file, document_separator="\n\n", validation_share=0.2)
    parts = text_file.read_text().strip().split("\n\n")
    train, validation = (read(data, split).split("[SEP]") for split in ("train", "validation"))
    assert train + validation == parts
    assert 0.15 < sum(map(len, validation)) / sum(map(len, parts)) < 0.25


def test_validation_and_test_have_files_of_their_own(write: Write, text_file: Path) -> None:
    validation, test = write("v.txt", "red river."), write("t.txt", "blue moon.")
    data = characters(text_file, validation=str(validation), test=[str(test)])
    assert read(data, "train") == text_file.read_text()
    assert read(data, "validation") == "red river."
    assert read(data, "test") == "blue moon."


def test_text_comes_from_columns_too(write: Write) -> None:
    path = write("a.jsonl", '{"body": "red river"}\n{"body": "NA"}\n{"body": "blue"}\n')
    data = characters(path, text="body", validation_share=0.25)
    assert read(data, "train") == "red river[SEP]NA"
    assert read(data, "validation") == "blue"


def test_the_cache_is_used_until_something_changes(write: Write) -> None:
    path = write("a.txt", sentences(31, 0))
    cache = path.parent / "cache"

    def folders() -> set[Path]:
        characters(path).prepare_data()
        return {folder for kind in cache.iterdir() for folder in kind.iterdir()}

    first = folders()
    stamps = {folder: (folder / "x").write_text("mark") for folder in first}
    assert folders() == first
    assert all((folder / "x").exists() for folder in stamps)
    path.write_text(sentences(31, 1))
    assert len(folders() - first) == len(first) == 2


def test_batches_do_not_depend_on_an_earlier_use(text_file: Path) -> None:
    def batches() -> list[Any]:
        data = characters(text_file, masking=masking.token(), seed=7)
        return [batch["input_ids"].tolist() for batch in data.train_dataloader()]

    first = batches()
    assert batches() == first
    assert characters(text_file, seed=8, masking=masking.token()).seed == 8


def test_the_seed_is_that_of_the_run(text_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)
    assert characters(text_file).seed == 42
    monkeypatch.setenv("PL_GLOBAL_SEED", "17")
    assert characters(text_file).seed == 17
    assert characters(text_file, seed=3).seed == 3


def test_faulty_options_are_refused(text_file: Path) -> None:
    for options, sentence in [
        ({"batch_size": 0}, "batch_size must be at least 1, not 0."),
        ({"eval_batch_size": -1}, "eval_batch_size must be at least 1, not -1."),
        ({"num_workers": -1}, "num_workers must not be negative, but is -1."),
        (
            {"validation_share": 1.0},
            "validation_share must be between 0 and 1, not 1.0; or set data.validation.",
        ),
        (
            {"document_separator": ""},
            "document_separator must not be empty; leave it out for one document.",
        ),
    ]:
        with pytest.raises(ConfigError) as raised:
            characters(text_file, **options)
        assert str(raised.value) == sentence


def labelled(train: Path, **options: Any) -> LabelledFiles:
    options = {"tokenizer": TokenizerConfig("wordpiece", 151), "batch_size": 2, **options}
    return LabelledFiles(train=str(train), cache_dir=str(train.parent / "cache"), **options)


def rows_of(data: LabelledFiles, split: Any) -> list[tuple[str, str]]:
    corpus = corpus_of(data, split)
    assert corpus is not None
    assert corpus.labels is not None
    bounds = corpus.bounds()
    return [
        (data.tokenizer.decode(corpus.tokens[a:b]), data.labels[label])
        for a, b, label in zip(bounds, bounds[1:], corpus.labels, strict=False)
    ]


def test_a_list_of_sentences_and_labels_is_read(write: Write) -> None:
    rows = [
        {"sentence": f"{w} moon", "label": "pos" if i % 3 else "neg"}
        for i, w in enumerate("abcdefg")
    ]
    path = write("a.json", json.dumps(rows))
    data = labelled(path, validation=str(write("v.json", json.dumps(rows[:3]))))
    assert data.vocabulary.labels == ("neg", "pos")
    assert rows_of(data, "train") == [(row["sentence"], row["label"]) for row in rows]
    assert rows_of(data, "validation") == [(row["sentence"], row["label"]) for row in rows[:3]]
    assert data.baselines() == {"val/accuracy": {"most frequent class": pytest.approx(2 / 3)}}
    batch = next(iter(data.val_dataloader()))
    assert batch["labels"].tolist() == [0, 1]
    assert batch["input_ids"][0, 0] == 2


def test_rows_for_validation_are_drawn_where_none_are_given(write: Write) -> None:
    lines = [f"w{i} moon,{'neg' if i < 50 else 'pos'}" for i in range(97)]
    data = labelled(write("a.csv", "\n".join(["review,label", *lines])), validation_share=0.2)
    train, validation = rows_of(data, "train"), rows_of(data, "validation")
    assert len(train) + len(validation) == 97
    assert 10 < len(validation) < 30
    assert {label for _, label in validation} == {"neg", "pos"}
    assert not set(train) & set(validation)


def test_pairs_of_texts_have_two_segments(write: Write) -> None:
    path = write("a.tsv", "one\ttwo\ty\nred moon\tblue\t1\nstone\tgreen tiger\t0\n")
    data = labelled(path, validation=str(path), text="one", text_pair="two", label="y")
    batch = next(iter(data.val_dataloader()))
    decode = data.tokenizer.decode
    first = decode(batch["input_ids"][0].tolist(), skip_special_tokens=False)
    assert first == "[CLS] red moon [SEP] blue [SEP] [PAD] [PAD] [PAD]"
    assert decode(batch["input_ids"][1][batch["token_type_ids"][1] == 1].tolist()) == "green tiger"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["red", "blue"]),
        ({"text": "one"}, ["moon", "tiger"]),
        ({"text_pair": "one"}, ["red moon", "blue tiger"]),
    ],
)
def test_of_a_table_only_the_columns_that_are_named_matter(
    tmp_path: Path, options: dict[str, str], expected: list[str]
) -> None:
    bad = pyarrow.array([b"\xff", b"\xfe"]).cast(pyarrow.string(), safe=False)
    columns = {"review": ["red", "blue"], "one": ["moon", "tiger"], "other": bad, "y": [0, 1]}
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table(columns), path)
    data = labelled(path, validation=str(path), label="y", **options)
    assert [" ".join(document.pieces) for document in data.documents("train")] == expected
    assert data.labels == ("0", "1")


def test_rows_with_classes_are_not_masked(write: Write) -> None:
    path = write("a.csv", "text,label\nx,1\ny,0\n")
    data = labelled(path, validation=str(path), masking=masking.token())
    with pytest.raises(ConfigError) as raised:
        data.train_dataloader()
    assert str(raised.value) == (
        "masking hides words of a text to be guessed, but this data has classes to be guessed; "
        "leave data.masking out, or choose another data module."
    )


def test_faulty_rows_are_named(write: Write) -> None:
    path = write("a.csv", "title,label\nx,1\ny,0\n")
    with pytest.raises(DataError) as raised:
        labelled(path).prepare_data()
    assert str(raised.value) == (
        f"{path}, line 2 has none of the columns text, sentence, review; "
        "set data.text to one of title, label."
    )
    with pytest.raises(DataError) as raised:
        _ = labelled(path, label="lable").labels
    assert str(raised.value) == (
        f"{path}, line 2 has no 'lable'. Did you mean 'label'? Columns: label, title."
    )
    validation = write("v.csv", "title,label\nx,1\ny,2\n")
    data = labelled(path, text="title", validation=str(validation))
    with pytest.raises(DataError) as raised:
        data.prepare_data()
    assert str(raised.value) == (
        f"{validation}, line 3 has the 'label' '2', which no training row has. Known: 0, 1."
    )
    path = write("b.csv", "text,label\n  ,1\ny,0\n")
    with pytest.raises(DataError) as raised:
        labelled(path).prepare_data()
    assert str(raised.value) == f"{path}, line 2 has no text; leave such rows out."


@pytest.fixture(scope="session")
def docs_cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("docs"))


def python_docs(cache: str, **options: Any) -> PythonDocs:
    config = TokenizerConfig("wordpiece", 2003, lowercase=True)
    return PythonDocs(cache_dir=cache, tokenizer=config, seed=3, **options)


def test_python_docs_are_two_megabytes_of_english_in_three_parts(docs_cache: str) -> None:
    data = python_docs(docs_cache)
    data.prepare_data()
    texts = {s: ["".join(d.pieces) for d in data.documents(s)] for s in SPLITS}
    sizes = {split: sum(map(len, parts)) for split, parts in texts.items()}
    assert 1.5e6 < sum(sizes.values()) < 4e6
    assert sizes["train"] / sum(sizes.values()) > 0.8
    assert min(sizes.values()) > 40_000
    everything = [text for parts in texts.values() for text in parts]
    assert len(everything) == len(set(everything)) > 300
    paragraphs = {s: {p for t in texts[s] for p in t.split("\n\n") if len(p) > 80} for s in SPLITS}
    for split in ("validation", "test"):
        shared = paragraphs[split] & paragraphs["train"]
        assert len(shared) < 0.02 * len(paragraphs[split])
    words = " ".join(texts["validation"]).split()
    assert words.count("the") / len(words) > 0.02
    corpora = {split: corpus_of(data, split) for split in SPLITS}
    assert all(c is not None and c.num_documents == len(texts[s]) for s, c in corpora.items())
    unknown = np.mean(corpora["validation"].tokens == data.vocabulary.unk_id)  # type: ignore[union-attr]
    assert unknown < 0.002


def test_no_docstring_is_there_twice() -> None:
    docs = [doc for docs in stdlib.module_docs().values() for doc in docs]
    assert len(docs) == len(set(docs)) > 3000
    assert not any(
        name.startswith(("test.", "idlelib", "lib2to3")) for name in stdlib.module_docs()
    )


def test_python_docs_make_bert_batches_with_baselines(docs_cache: str) -> None:
    data = python_docs(
        docs_cache, examples=examples.sentence_pairs(seq_len=67), masking=masking.token()
    )
    loader = data.train_dataloader()
    assert len(loader) > 100
    batch = next(iter(loader))
    assert set(batch) == {
        "input_ids",
        "attention_mask",
        "token_type_ids",
        "sample_ids",
        "labels",
        "next_sentence_labels",
        "num_targets",
    }
    asked = (batch["labels"] != -100).sum() / batch["attention_mask"].sum()
    assert 0.1 < asked < 0.19
    found = data.baselines()
    assert 3 < found["val/loss"]["bigram"] < found["val/loss"]["unigram"] - 0.5 < 7
    assert found["val/next_sentence_accuracy"]["most frequent"] == pytest.approx(0.5, abs=0.1)


def test_labelled_python_docs_do_not_leak(docs_cache: str) -> None:
    data = LabelledPythonDocs(cache_dir=docs_cache, seed=3)
    rows = {split: list(data.documents(split)) for split in SPLITS}
    texts = {split: {d.pieces[0] for d in found} for split, found in rows.items()}
    assert not texts["train"] & texts["validation"]
    assert not texts["train"] & texts["test"]
    assert not texts["validation"] & texts["test"]
    assert all(len(d.pieces[0].split()) >= 8 for found in rows.values() for d in found)
    assert 9 <= len(data.labels) <= 11
    for split, least in (("train", 100), ("validation", 20), ("test", 20)):
        counts = np.bincount([d.label for d in rows[split]], minlength=len(data.labels))
        assert counts.min() >= least
        assert counts.max() < 0.25 * counts.sum()
    found = data.baselines()["val/accuracy"]["most frequent class"]
    assert 0.05 < found < 0.25


def test_files_of_a_family_are_in_one_split(docs_cache: str) -> None:
    data = LabelledPythonDocs(cache_dir=docs_cache)
    home = {doc: name for name, docs in stdlib.module_docs().items() for doc in docs}
    splits: dict[str, set[str]] = {}
    for split in SPLITS:
        for document in data.documents(split):  # type: ignore[arg-type]
            splits.setdefault(home[document.pieces[0]], set()).add(split)
    assert len(splits) > 150
    assert all(len(found) == 1 for found in splits.values())


def test_a_module_can_be_sent_to_another_process(text_file: Path) -> None:
    data = characters(text_file, masking=masking.token(), examples=examples.windows(seq_len=17))
    again = pickle.loads(pickle.dumps(data))
    assert again.vocabulary == data.vocabulary
    assert again.examples == data.examples
