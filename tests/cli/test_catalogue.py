"""What is read from source is what there is when it runs."""

import dataclasses
import inspect

import pytest

from lightformer import data as data_modules
from lightformer import registry, tasks
from lightformer.backbone_config import BackboneConfig
from lightformer.catalogue.index import read_catalogue, trainer_options
from lightformer.catalogue.shapes import scalar_types, shape_of
from lightformer.catalogue.signatures import argument_docs, options
from lightformer.catalogue.source import read

CATALOGUE = read_catalogue(folder=None)


@pytest.mark.parametrize("kind", registry.KINDS)
def test_parts_are_those_of_the_registry(kind: str) -> None:
    built_in = {n for n in registry.names(kind) if registry.find(kind, n).source is None}
    assert set(CATALOGUE.names(kind)) == built_in
    for name in built_in:
        entry, spec = CATALOGUE.find(kind, name), registry.find(kind, name)
        assert [o.name for o in entry.options] == [f.name for f in dataclasses.fields(spec)]
        assert [o.name for o in entry.options if o.required] == registry.required_options(spec)
        assert entry.summary
        assert all(o.doc for o in entry.options)
        for option in entry.options:
            if not option.required and not shape_of(option).kind:
                default = next(f.default for f in dataclasses.fields(spec) if f.name == option.name)
                assert repr(default) == option.default


@pytest.mark.parametrize(
    ("key", "module", "base"),
    [("model", tasks, tasks.Task), ("data", data_modules, data_modules.DataModule)],
)
def test_tasks_and_data_modules_are_those_of_the_package(key: str, module, base) -> None:
    found = {
        name: cls
        for name, cls in vars(module).items()
        if inspect.isclass(cls) and issubclass(cls, base) and not inspect.isabstract(cls)
    }
    found.pop(base.__name__, None)
    assert set(CATALOGUE.names(key)) == set(found)
    for name, cls in found.items():
        wanted = set()
        for parent in inspect.getmro(cls):
            parameters = inspect.signature(parent.__init__).parameters.values()
            wanted |= {
                p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)
            }
            if not any(p.kind is p.VAR_KEYWORD for p in parameters):
                break
        entry = CATALOGUE.find(key, name)
        assert {o.name for o in entry.options} == wanted - {"self", "vocabulary"}
        assert all(o.doc for o in entry.options), [o.name for o in entry.options if not o.doc]


def test_task_defaults_are_read() -> None:
    for name in CATALOGUE.names("model"):
        assert CATALOGUE.find("model", name).data_defaults.items() >= (
            getattr(tasks, name).data_defaults.items()
        )


def test_fields_of_a_dataclass_and_their_shapes() -> None:
    module = read("lightformer.backbone_config")
    fields = options(module, module.definitions["BackboneConfig"], keyword_only=False)
    assert [o.name for o in fields] == [f.name for f in dataclasses.fields(BackboneConfig)]
    shapes = {o.name: shape_of(o) for o in fields}
    assert shapes["attention"].kind == "attention"
    assert shapes["pattern"].item.name == "LayerPattern"
    types = {o.name: scalar_types(o) for o in fields}
    assert types["head_dim"] == {"int", "None"}
    assert types["attention"] == set()


def test_options_of_the_trainer_are_lightnings() -> None:
    from lightning.pytorch import Trainer

    wanted = [p for p in inspect.signature(Trainer.__init__).parameters if p != "self"]
    assert [o.name for o in trainer_options()] == wanted
    assert all(o.doc for o in trainer_options())


def test_argument_docs_join_lines_and_end_with_their_section() -> None:
    text = """What it does.

    Args:
        first: one
            and two
        second (int): three

    Raises:
        ValueError: not an argument
    """
    assert argument_docs(text) == {"first": "one and two", "second": "three"}
