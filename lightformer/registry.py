"""Names for parts.

A *part* is a class or function, registered under a kind and a name. Whatever holds a choice of part
(a config, a model's constructor, a checkpoint) holds its *spec*: a small frozen dataclass with the
part's options. Calling a spec with the sizes of a model builds the part.

    @register("attention", "gqa")
    class GroupedQueryAttention(Attention):
        def __init__(self, dims: Dimensions, /, *, num_kv_heads: int): ...

    spec = attention.gqa(num_kv_heads=2)    # plain data: what is configured, printed, saved
    layer = spec(dims)                      # the module

Positional-only parameters are given by the model, keyword-only ones are the options of a user.
This module imports the standard library alone.
"""

from __future__ import annotations

import abc
import dataclasses
import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, TypeVar

from lightformer.errors import ConfigError, PluginError, did_you_mean
from lightformer.importing import current_source, import_source
from lightformer.signature import RESERVED, options_of

T = TypeVar("T")
S = TypeVar("S", bound="Spec")
Options = Mapping[str, Any]

KINDS = (
    "attention",
    "position",
    "scaling",
    "feedforward",
    "norm",
    "block",
    "init",
    "adapter",
    "examples",
    "masking",
    "optimizer",
    "schedule",
)
"""Every kind of part. The contract of kind K, and the namespace of its specs, is `lightformer.K`."""


_contracts: dict[str, type[Spec]] = {}
_specs: dict[str, dict[str, type[Spec]]] = {kind: {} for kind in KINDS}


@dataclasses.dataclass(frozen=True)
class Spec(abc.ABC):
    """A choice of part and its options; `spec(*sizes)` builds the part.

    Each kind has one abstract subclass, made in the module of its contract:

        class AttentionSpec(Spec, kind="attention", builds=Attention): ...
    """

    kind: ClassVar[str]
    builds: ClassVar[type]
    """The contract that a part of this kind fulfils."""

    name: ClassVar[str]
    part: ClassVar[Callable[..., Any]]
    origin: ClassVar[str]
    """`module:qualified name` of the part."""
    source: ClassVar[str | None]
    """The plugin that registered it, as given to `import_source`; None for a plain import."""
    forms: ClassVar[tuple[Options, ...]]
    """Options, as plain data, with which `lightformer.testing` tries the part."""

    def __init_subclass__(cls, *, kind: str | None = None, builds: type | None = None) -> None:
        super().__init_subclass__()
        if kind is not None and builds is not None:
            cls.kind, cls.builds = kind, builds
            _contracts[kind] = cls

    def __new__(cls, /, **options: Any) -> Spec:
        known = [field.name for field in dataclasses.fields(cls)]
        for option in options:
            if option not in known:
                hint = did_you_mean(option, known, "Its options")
                raise ConfigError(f"{cls.kind} {cls.name!r} has no option {option!r}.{hint}")
        missing = [name for name in required_options(cls) if name not in options]
        if missing:
            raise ConfigError(
                f"{cls.kind} {cls.name!r} needs {', '.join(missing)}, which has no default; "
                f"write {cls.kind}.{cls.name}({missing[0]}=...)."
            )
        return super().__new__(cls)

    @abc.abstractmethod
    def __call__(self, *given: Any) -> Any:
        """Builds the part from what the model gives."""

    def options(self) -> dict[str, Any]:
        """Returns the value of each option."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    def replace(self: S, /, **options: Any) -> S:
        """Returns a spec of the same part, with other values for these options."""
        return type(self)(**{**self.options(), **options})

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.kind, self.name, self.options(), self.source)


def _restore(kind: str, name: str, options: dict[str, Any], source: str | None) -> Spec:
    """Unpickles a spec, in a process that may not know its plugin yet (a spawned rank)."""
    if name not in names(kind) and source is not None:
        import_source(source)
    return find(kind, name)(**options)


def _build(self: Spec, *given: Any) -> Any:
    return type(self).part(*given, **self.options())


def required_options(spec: type[Spec]) -> list[str]:
    """Returns the names of the options that have no default."""
    missing = dataclasses.MISSING
    return [
        f.name
        for f in dataclasses.fields(spec)
        if f.default is missing and f.default_factory is missing
    ]


def contract(kind: str) -> type[Spec]:
    """Returns the abstract spec of a kind.

    Raises:
        PluginError: there is no such kind.
    """
    if kind not in KINDS:
        raise PluginError(f"There is no kind {kind!r} of part.{did_you_mean(kind, KINDS, 'Kinds')}")
    if kind not in _contracts:
        importlib.import_module(f"lightformer.{kind}")
    return _contracts[kind]


def register(kind: str, name: str, *, forms: Iterable[Options] = ({},)) -> Callable[[T], T]:
    """Makes a class or function available under a short name. Use it as a decorator.

    Args:
        kind: one of `KINDS`
        name: how it is called in configs, on the command line and in Python
        forms: options, as a config would hold them, with which `lightformer plugins check` and the matrix try
            the part; needed where an option has no default, and useful where one changes what the part does

    Raises:
        PluginError: the name is taken by another module, or the part does not fulfil its contract.
    """
    base = contract(kind)

    def decorate(part: T) -> T:
        _add(base, make_spec(kind, name, typing.cast("Callable[..., Any]", part), forms))
        return part

    return decorate


def _add(base: type[Spec], spec: type[Spec]) -> None:
    label = f"{base.kind} {spec.name!r}"
    old = _specs[base.kind].get(spec.name)
    if old is not None and old.origin != spec.origin:
        raise PluginError(
            f"{spec.origin} registers {label}, but {old.origin} has that name already. "
            f"Rename one of the two."
        )
    _specs[base.kind][spec.name] = spec


def make_spec(
    kind: str, name: str, part: Callable[..., Any], forms: Iterable[Options] = ({},)
) -> type[Spec]:
    """Returns the spec class of a part, without registering it; see `register`."""
    base = contract(kind)
    label = f"{kind} {name!r}"
    origin = f"{part.__module__}:{part.__qualname__}"
    if not name.isidentifier() or name in RESERVED or name.startswith("_"):
        raise PluginError(
            f"{label} ({origin}) cannot be registered: a name is a word like 'my_{kind}', "
            f"and none of {', '.join(sorted(RESERVED))}."
        )
    _check_contract(base, label, part)
    fields, tried = options_of(label, part), tuple(forms)
    known = [option for option, *_ in fields]
    for option in (option for form in tried for option in form):
        if option not in known:
            hint = did_you_mean(option, known, "Its options")
            raise PluginError(f"{label}: a form of it has {option!r}, which is no option.{hint}")
    docs = [inspect.getdoc(part)]
    if inspect.isclass(part):
        family = part.__mro__[: part.__mro__.index(base.builds)]
        inits = [vars(cls)["__init__"].__doc__ for cls in family if "__init__" in vars(cls)]
        docs += [inspect.cleandoc(doc) for doc in inits if doc]
    made = dataclasses.make_dataclass(
        name,
        fields,
        bases=(base,),
        frozen=True,
        kw_only=True,
        namespace={
            "__call__": _build,
            "__doc__": "\n\n".join(dict.fromkeys(doc for doc in docs if doc)),
            "name": name,
            "part": part if inspect.isclass(part) else staticmethod(part),
            "origin": origin,
            "source": current_source(),
            "forms": tried,
        },
    )
    made.__module__ = f"lightformer.{kind}"  # from Python 3.12 on, it would be this one
    return made


def _check_contract(base: type[Spec], label: str, part: Callable[..., Any]) -> None:
    if not inspect.isclass(part):
        return  # a function is held to its contract by what it returns
    if not issubclass(part, base.builds):
        raise PluginError(
            f"{label} must derive from lightformer.{base.kind}.{base.builds.__name__}, "
            f"but {part.__qualname__} derives from {part.__bases__[0].__name__}."
        )
    if lacks := sorted(getattr(part, "__abstractmethods__", ())):
        raise PluginError(
            f"{label} must define {', '.join(lacks)}, as lightformer.{base.kind}."
            f"{base.builds.__name__} says, but {part.__qualname__} does not."
        )


def names(kind: str) -> list[str]:
    """Returns the registered names of a kind, sorted."""
    _import_builtins(kind)
    return sorted(_specs[kind])


def find(kind: str, name: str) -> type[Spec]:
    """Returns the spec class of a registered part.

    Raises:
        PluginError: nothing is registered under that name.
    """
    contract(kind)
    known = names(kind)
    if name not in known:
        raise PluginError(f"There is no {kind} {name!r}.{did_you_mean(name, known)}")
    return _specs[kind][name]


def namespace(kind: str) -> Callable[[str], Any]:
    """Returns a module `__getattr__`, by which `lightformer.<kind>.<name>` is the spec of a part."""

    def __getattr__(name: str) -> Any:
        if name.startswith(
            "_"
        ):  # Python asks for such names at an import, and must not import for it
            raise AttributeError(name)
        if name not in names(kind):
            raise AttributeError(f"There is no {kind} {name!r}.{did_you_mean(name, names(kind))}")
        return _specs[kind][name]

    return __getattr__


_imported: set[str] = set()


def _import_builtins(kind: str) -> None:
    """Imports every module of `lightformer.parts.<kind>`; they register as any plugin does."""
    if kind in _imported or kind not in KINDS:
        return
    _imported.add(kind)
    package = importlib.import_module(f"lightformer.parts.{kind}")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
