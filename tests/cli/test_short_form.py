"""`attention: {name: gqa}` and jsonargparse's class_path and init_args, both ways."""

import pytest

from lightformer.cli.short_form import expand, expand_inline, shorten

PAIRS = {
    "options": (
        {"model": {"name": "MaskedLM", "tied": False}},
        {"model": {"class_path": "MaskedLM", "init_args": {"tied": False}}},
    ),
    "a name alone": ({"data": "PythonDocs"}, {"data": "PythonDocs"}),
    "nested": (
        {"model": {"name": "A", "backbone": {"norm": {"name": "rms_norm", "eps": 0.1}}}},
        {
            "model": {
                "class_path": "A",
                "init_args": {
                    "backbone": {"norm": {"class_path": "rms_norm", "init_args": {"eps": 0.1}}}
                },
            }
        },
    ),
    "in lists": (
        {"pattern": [{"attention": {"name": "gqa", "num_kv_heads": 2}}, {"attention": None}]},
        {
            "pattern": [
                {"attention": {"class_path": "gqa", "init_args": {"num_kv_heads": 2}}},
                {"attention": None},
            ]
        },
    ),
    "a list of choices": (
        {"norm": ["rms_norm", {"name": "layer_norm", "eps": 1}]},
        {"norm": ["rms_norm", {"class_path": "layer_norm", "init_args": {"eps": 1}}]},
    ),
    "others' names": (
        {"trainer": {"logger": {"name": "x", "version": 3}}},
        {"trainer": {"logger": {"name": "x", "version": 3}}},
    ),
}


@pytest.mark.parametrize("case", PAIRS)
def test_both_ways(case: str) -> None:
    short, long = PAIRS[case]
    assert expand(short) == long
    assert shorten(long) == short


def test_paths_of_ours_become_names_and_others_stay() -> None:
    assert shorten({"attention": {"class_path": "lightformer.attention.gqa"}}) == {
        "attention": "gqa"
    }
    assert shorten({"model": {"class_path": "lightformer.tasks.MaskedLM"}}) == {"model": "MaskedLM"}
    assert shorten({"model": {"class_path": "lightformer_plugins.my.Mine"}}) == {"model": "Mine"}
    assert shorten({"model": {"class_path": "theirs.Mine"}}) == {"model": "theirs.Mine"}


def test_a_choice_inline_on_the_command_line_needs_no_key() -> None:
    long = {"class_path": "gqa", "init_args": {"num_kv_heads": 2}}
    assert expand_inline({"name": "gqa", "num_kv_heads": 2}) == long
