"""Registration, specs, and specs as plain data."""

from __future__ import annotations

import copy
import importlib
import pickle
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from lightformer import attention, backbone, feedforward, optimizer, position, registry
from lightformer.attention import Attention, AttentionSpec
from lightformer.backbone_config import BackboneConfig, LayerPattern
from lightformer.dimensions import Dimensions
from lightformer.errors import ConfigError, PluginError
from lightformer.feedforward import FeedForward
from lightformer.importing import import_source
from lightformer.plain import from_plain, to_plain
from lightformer.registry import KINDS, Spec, find, names, register, required_options
from lightformer.schedule import Schedule
from lightformer.signature import OF_SPECS
from tests.variants import variants

EVERY = [param for kind in KINDS for param in variants(kind)]


@pytest.fixture(autouse=True)
def _forgets() -> Iterator[None]:
    """What a test registers or imports is gone after it."""
    for kind in KINDS:
        names(kind)
    specs = {kind: dict(known) for kind, known in registry._specs.items()}
    modules = set(sys.modules)
    yield
    registry._specs.update(specs)
    for name in set(sys.modules) - modules:
        if name.startswith("lightformer_plugins"):
            del sys.modules[name]


def plain_part(**options: Any) -> Any:
    """A feed-forward class that does nothing, made anew."""

    class Part(FeedForward):
        def __init__(self, dims: Dimensions, /, *, share: float = 0.5) -> None:
            super().__init__()
            self.share = share

        def forward(self, hidden_states: Tensor) -> Tensor:
            return hidden_states * self.share

    for name, value in options.items():
        setattr(Part, name, value)
    return Part


def said(call: Any, *given: Any, error: type[Exception] = PluginError, **options: Any) -> str:
    with pytest.raises(error) as caught:
        call(*given, **options)
    return str(caught.value)


@pytest.mark.parametrize("spec", EVERY)
def test_a_spec_goes_round_as_plain_data(spec: Spec) -> None:
    plain = to_plain(spec)
    assert plain["name"] == spec.name
    assert from_plain(registry.contract(spec.kind), plain) == spec
    if not required_options(type(spec)) and spec == type(spec)():
        assert from_plain(registry.contract(spec.kind), spec.name) == spec


@pytest.mark.parametrize("spec", EVERY)
def test_a_spec_is_a_value(spec: Spec) -> None:
    assert pickle.loads(pickle.dumps(spec)) == copy.deepcopy(spec) == spec
    assert hash(spec) == hash(copy.deepcopy(spec))
    assert find(spec.kind, spec.name) is type(spec)
    assert getattr(sys.modules[f"lightformer.{spec.kind}"], spec.name) is type(spec)
    assert spec.origin.startswith("lightformer.")
    assert spec.source is None
    with pytest.raises(AttributeError):
        spec.anything = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("spec", EVERY)
def test_every_part_and_option_is_documented(spec: Spec) -> None:
    text = type(spec).__doc__ or ""
    assert "." in text
    for option in spec.options():
        assert f"{option}: " in text, option


def test_specs_of_other_parts_or_options_differ() -> None:
    assert attention.gqa(num_kv_heads=2) != attention.gqa(num_kv_heads=1)
    assert attention.mha() != feedforward.mlp()
    assert len({attention.mha(), attention.mha(), attention.mha(dropout=0.1)}) == 2


def test_a_whole_config_goes_round() -> None:
    config = BackboneConfig(
        attention=attention.gqa(num_kv_heads=2),
        head_dim=10,
        pattern=[LayerPattern(), LayerPattern(position=position.alibi())],
    )
    plain = to_plain(config)
    assert plain["attention"] == {
        "name": "gqa",
        "num_kv_heads": 2,
        "bias": True,
        "dropout": 0.0,
        "qk_norm": None,
        "softcap": None,
        "sink": False,
        "gate": None,
    }
    assert plain["pattern"][1]["position"] == {"name": "alibi"}
    assert from_plain(BackboneConfig, plain) == config
    short = from_plain(BackboneConfig, {"attention": "mha", "pattern": [{"position": "alibi"}]})
    assert short.attention == attention.mha()
    assert short.pattern == [LayerPattern(position=position.alibi())]
    assert to_plain(optimizer.adamw())["betas"] == [0.9, 0.999]
    assert (
        from_plain(registry.contract("optimizer"), to_plain(optimizer.adamw())) == optimizer.adamw()
    )


def test_what_has_no_plain_form_is_refused() -> None:
    assert said(to_plain, {"path": Path("a")}, error=ConfigError) == (
        "An option must be a number, text, true or false, a list or a mapping, but "
        f"{Path('a')!r} is of type {type(Path('a')).__name__}: a checkpoint with it could not be "
        "loaded again."
    )


def test_plain_data_that_fits_nothing() -> None:
    def read(value: Any) -> str:
        return said(from_plain, BackboneConfig, value, "model.backbone", error=ConfigError)

    assert read({"attention": {"num_kv_heads": 2}}) == (
        "model.backbone.attention must be a name or a mapping with a name, not {'num_kv_heads': 2}."
    )
    assert read({"atention": "mha"}).startswith(
        "model.backbone has no 'atention'. Did you mean 'attention'? Known: attention, block, "
    )
    assert read({"attention": {"name": "gqa", "kv_heads": 2}}) == (
        "model.backbone.attention has no 'kv_heads'. Did you mean 'num_kv_heads'? "
        "Known: bias, dropout, gate, num_kv_heads, qk_norm, sink, softcap."
    )
    assert read({"attention": "gqq"}).startswith(
        "There is no attention 'gqq'. Did you mean 'gqa'? Known: "
    )
    assert read({"pattern": [{}, {"position": 3}]}) == (
        "model.backbone.pattern[1].position must be a name or a mapping with a name, not 3."
    )


@pytest.mark.parametrize(
    ("annotation", "value", "sentence"),
    [
        (int, "3", "a must be a whole number, but is '3'."),
        (int, 3.0, "a must be a whole number, but is 3.0."),
        (int, True, "a must be a whole number, but is True."),
        (float | None, "3", "a must be a number, but is '3'."),
        (float, False, "a must be a number, but is False."),
        (bool, 1, "a must be true or false, but is 1."),
        (str, None, "a must be text, but is None."),
        (list[str], "ab", "a must be a list, but is 'ab'."),
        (tuple[int, ...], [1, 2.5], "a[1] must be a whole number, but is 2.5."),
        (tuple[float, float], [1.0], "a must have 2 values, but is [1.0]."),
        (BackboneConfig, [], "a must be a mapping, but is []."),
        (
            BackboneConfig,
            BackboneConfig(scale_embeddings=1),  # type: ignore[arg-type]
            "a.scale_embeddings must be true or false, but is 1.",
        ),
        (
            BackboneConfig,
            BackboneConfig(attention=attention.gqa(num_kv_heads="2")),
            "a.attention.num_kv_heads must be a whole number, but is '2'.",
        ),
    ],
)  # fmt: skip
def test_plain_data_of_another_type(annotation: Any, value: Any, sentence: str) -> None:
    assert said(from_plain, annotation, value, "a", error=ConfigError) == sentence


def test_plain_data_of_a_fitting_type() -> None:
    assert from_plain(float, 3) == 3
    assert from_plain(int | None, None) is None
    assert from_plain(str, Path("a/b")) == "a/b"
    assert from_plain(tuple[float, ...], [1, 2.5]) == (1, 2.5)
    assert from_plain(BackboneConfig, BackboneConfig(attention="mha")) == BackboneConfig()  # type: ignore[arg-type]


def test_unknown_names_and_options() -> None:
    assert said(find, "atention", "mha").startswith(
        "There is no kind 'atention' of part. Did you mean 'attention'? Kinds: adapter, attention, block, "
    )
    assert said(find, "norm", "layernorm") == (
        "There is no norm 'layernorm'. Did you mean 'layer_norm'? Known: dyt, layer_norm, rms_norm."
    )
    assert said(lambda: position.ropes, error=AttributeError).startswith(
        "There is no position 'ropes'. Did you mean 'rope'? Known: alibi, "
    )
    assert said(attention.gqa, num_kv_head=2, error=ConfigError) == (
        "attention 'gqa' has no option 'num_kv_head'. Did you mean 'num_kv_heads'? "
        "Its options: bias, dropout, gate, num_kv_heads, qk_norm, sink, softcap."
    )
    assert said(attention.gqa, error=ConfigError) == (
        "attention 'gqa' needs num_kv_heads, which has no default; write "
        "attention.gqa(num_kv_heads=...)."
    )


def test_a_part_of_the_users_is_built_from_its_spec() -> None:
    part = register("feedforward", "halving")(plain_part())
    spec = feedforward.halving(share=0.25)
    built = spec(BackboneConfig().dimensions())
    assert type(built) is part
    assert built.share == 0.25
    assert "halving" in names("feedforward")
    assert spec.part is part


def test_a_function_is_a_part_too() -> None:
    @register("optimizer", "plain_sgd")
    def plain_sgd(parameters: Any, /, *, lr: float = 0.1) -> Any:
        return parameters, lr

    assert optimizer.plain_sgd(lr=0.2)([1]) == ([1], 0.2)


def test_a_name_is_taken_once() -> None:
    assert said(register("attention", "mha"), plain_attention()) == (
        f"{__name__}:plain_attention.<locals>.Mine registers attention 'mha', but "
        "lightformer.parts.attention.mha:MultiHeadAttention has that name already. "
        "Rename one of the two."
    )
    register("feedforward", "halving")(plain_part())
    register("feedforward", "halving")(plain_part())  # the same place again: a reload


def plain_attention() -> Any:
    class Mine(Attention):
        def __init__(self, dims: Dimensions, /) -> None:
            super().__init__()

        def forward(self, hidden_states: Tensor, context: Any) -> Tensor:
            return hidden_states

    return Mine


@pytest.mark.parametrize("name", ["name", "class_path", "_own", "two words", "3d", ""])
def test_a_name_is_a_word(name: str) -> None:
    assert said(register("norm", name), plain_part()) == (
        f"norm {name!r} ({__name__}:plain_part.<locals>.Part) cannot be registered: a name is a word "
        "like 'my_norm', and none of class_path, init_args, name."
    )


def test_a_part_fulfils_its_contract() -> None:
    assert said(register("attention", "mine"), plain_part()) == (
        "attention 'mine' must derive from lightformer.attention.Attention, but "
        "plain_part.<locals>.Part derives from FeedForward."
    )

    class Half(Schedule):
        pass

    assert said(register("schedule", "half"), Half) == (
        "schedule 'half' must define factor, as lightformer.schedule.Schedule says, but "
        "test_a_part_fulfils_its_contract.<locals>.Half does not."
    )


def init(function: Any) -> Any:
    return plain_part(__init__=function)


def test_signatures_that_hide_their_options() -> None:
    def keywords(self: Any, dims: Dimensions, /, **options: Any) -> None: ...
    def many(self: Any, dims: Dimensions, /, *options: Any) -> None: ...
    def either(self: Any, dims: Dimensions, size: int = 2) -> None: ...
    def untyped(self: Any, dims: Dimensions, /, *, size=2) -> None: ...  # type: ignore[no-untyped-def]
    def reserved(self: Any, dims: Dimensions, /, *, name: str = "") -> None: ...
    def unknown(self: Any, dims: Dimensions, /, *, size: Missing = 2) -> None: ...  # type: ignore[name-defined]  # noqa: F821
    def changing(self: Any, dims: Dimensions, /, *, sizes: list[int] = []) -> None: ...  # noqa: B006

    add = register("feedforward", "odd")
    for function, star in ((keywords, "options"), (many, "options")):
        assert said(add, init(function)) == (
            f"feedforward 'odd': options must be spelt out, but its signature has *{star}; "
            "name each option after a bare *."
        )
    assert said(add, init(either)) == (
        "feedforward 'odd': 'dims' is neither given by the model nor an option; put a / after what "
        "the model gives, and a * before the options."
    )
    assert said(add, init(untyped)) == (
        "feedforward 'odd': option 'size' has no type; annotate it, as in size: float."
    )
    assert said(add, init(reserved)) == (
        "feedforward 'odd': an option cannot be called 'name', which names the part itself in a "
        "config; rename it."
    )
    exec("def hidden(self, dims, /, *, _size: int = 1): ...", given := {})
    assert said(add, init(given["hidden"])) == (
        "feedforward 'odd': an option cannot be called '_size'; begin its name with a letter."
    )
    for taken in ("part", "kind", "replace"):
        exec(f"def like_a_spec(self, dims, /, *, {taken}: int = 1): ...", given := {})
        assert said(add, init(given["like_a_spec"])) == (
            f"feedforward 'odd': an option cannot be called {taken!r}, which every spec has already; "
            "rename it."
        )
    assert said(add, init(unknown)) == (
        "feedforward 'odd': the type of an option is not importable (name 'Missing' is not defined); "
        "import it at the top of the module, and not under TYPE_CHECKING."
    )
    assert said(add, init(changing)) == (
        "feedforward 'odd': option 'sizes' has a default that can be changed, []; give a tuple or None."
    )
    assert "odd" not in names("feedforward")


def test_no_option_hides_what_a_spec_has() -> None:
    held = {*dir(Spec), *typing.get_type_hints(Spec)}
    assert {name for name in held if not name.startswith("_")} - {"name"} == OF_SPECS


@pytest.mark.parametrize("kind", KINDS)
def test_a_spec_is_found_where_it_says(kind: str) -> None:
    for name in names(kind):
        spec = find(kind, name)
        assert getattr(importlib.import_module(spec.__module__), spec.__qualname__) is spec


def test_a_spec_with_another_option() -> None:
    small = attention.gqa(num_kv_heads=1, dropout=0.25)
    assert small.replace(num_kv_heads=2) == attention.gqa(num_kv_heads=2, dropout=0.25)
    for name in ("cls", "self", "kv_heads"):
        assert said(small.replace, error=ConfigError, **{name: 2}).startswith(
            f"attention 'gqa' has no option '{name}'."
        )


def test_an_abstract_spec_lists_no_parts() -> None:
    assert registry.contract("attention") is AttentionSpec
    assert said(register, "feedfoward", "x").startswith(
        "There is no kind 'feedfoward' of part. Did you mean 'feedforward'?"
    )


PLUGIN = """
from lightformer import register
from lightformer.norm import Norm

@register("norm", "{name}")
class Plain(Norm):
    def __init__(self, size: int, /, *, eps: float = 1e-5) -> None:
        super().__init__()

    def forward(self, states):
        return states
"""


def test_a_plugin_file_is_known_by_its_source(tmp_path: Path) -> None:
    path = tmp_path / "my_norms.py"
    path.write_text(PLUGIN.format(name="plain"))
    import_source(str(path))
    import_source(str(path))
    spec = find("norm", "plain")(eps=0.1)
    assert spec.source == str(path)
    assert spec.origin == "lightformer_plugins.my_norms:Plain"
    stored = pickle.dumps(spec)
    del registry._specs["norm"]["plain"], sys.modules["lightformer_plugins.my_norms"]
    assert pickle.loads(stored).options() == {"eps": 0.1}  # as in a rank that was spawned


def test_two_plugin_files_of_one_name(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "my_norms.py" for folder in "ab"]
    for path, name in zip(paths, ("one", "two"), strict=True):
        path.parent.mkdir()
        path.write_text(PLUGIN.format(name=name))
    import_source(str(paths[0]))
    assert said(import_source, str(paths[1])) == (
        f"Two plugin files are called my_norms.py: {paths[0]} and {paths[1]}. Rename one."
    )


def test_a_plugin_that_breaks_can_be_mended(tmp_path: Path) -> None:
    path = tmp_path / "my_norms.py"
    path.write_text("1 / 0")
    with pytest.raises(ZeroDivisionError):
        import_source(str(path))
    path.write_text(PLUGIN.format(name="plain"))
    import_source(str(path))
    assert "plain" in names("norm")


def test_the_backbone_lists_no_part() -> None:
    source = Path(backbone.__file__).read_text()
    assert "lightformer.parts" not in source
