"""Things by name: those that come along, and ``package.module:attribute`` for one's own.

Code is imported here only when a text says so that the person at the keyboard wrote (an option, a
manifest, a program's own configuration), never one that came from a peer.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, cast

from auror.errors import ConfigError, UserError

T = TypeVar("T")

_REFERENCE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")

_FILES: set[str] = set()
"""Of modules with somebody's own code."""


def is_reference(text: str) -> bool:
    """Whether ``text`` is written as ``package.module:attribute``."""
    return _REFERENCE.fullmatch(text) is not None


def load_reference(kind: str, text: str) -> object:
    """The object that ``package.module:attribute`` names; modules of the working folder are found.

    Args:
        kind: what it is for, as the error calls it, e.g. "attack".

    Raises:
        ConfigError: no such module or attribute, or importing the module failed.
    """
    if not is_reference(text):
        raise ConfigError(f"{kind} {text!r}: write package.module:attribute")
    name, _colon, attribute = text.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # last, so that nothing installed is replaced
        importlib.invalidate_caches()
    try:
        found: object = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise ConfigError(f"{kind} {text!r}: importing {name} failed: {error}") from error
        raise ConfigError(
            f"{kind} {text!r}: there is no module {error.name}; start where {name.split('.')[0]}"
            " lies, or install it"
        ) from error
    except (Exception, SystemExit) as error:  # whatever somebody else's code raises
        raise ConfigError(f"{kind} {text!r}: importing {name} failed: {_said(error)}") from error
    _FILES.add(str(getattr(found, "__file__", "")))
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            public = [known for known in dir(found) if not known.startswith("_")]
            raise ConfigError(
                f"{kind} {text!r}: {name} has no {part}{_nearest(part, public)}"
            ) from error
    return found


def reference_to(found: object) -> str:
    """How to write ``found`` as ``package.module:attribute``.

    An object that no module has a name for is written with ``()``: that cannot be loaded again.
    """
    owner = found if hasattr(found, "__qualname__") else type(found)
    name, attribute = owner.__module__, str(getattr(owner, "__qualname__", ""))
    if owner is not found:
        name, attribute = _variable(found, name) or (name, f"{attribute}()")
    if name.partition(".")[0] != "auror":
        _FILES.add(str(getattr(sys.modules.get(name), "__file__", "")))
    return f"{outside_name(name)}:{attribute}"


def outside_name(module: str) -> str:
    """How another program finds ``module``: a script that was started under its own name."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return Path(file).stem if module == "__main__" and file is not None else module


def module_of(name: str) -> ModuleType | None:
    """The module that is called ``name`` outside, if it was imported or started."""
    started = sys.modules.get("__main__")
    return started if name == outside_name("__main__") else sys.modules.get(name)


def is_lasting(name: str) -> bool:
    """Whether another program finds what is called ``name``, as ``reference_to`` writes it."""
    return is_reference(name) and not name.startswith("__main__:")


def check_lasting(kind: str, name: str) -> None:
    """Raises ConfigError when no other program would find what was given as an object."""
    if not is_lasting(name):
        raise ConfigError(
            f"{kind} {name!r} has no name that could be found again, so no run folder can hold it:"
            " define it at the top level of a file and import it, or use auror.simulate, which"
            " keeps no folder"
        )


def _variable(found: object, first: str) -> tuple[str, str] | None:
    """Module and name of a variable that holds ``found``; what Python shares has none."""
    if first == "builtins":
        return None
    modules = dict.fromkeys((first, "__main__", *sys.modules))
    for name in modules:
        for key, value in tuple(getattr(sys.modules.get(name), "__dict__", {}).items()):
            if value is found and not key.startswith("_"):
                return name, key
    return None


def fault_in(error: BaseException) -> str | None:
    """One line for what code that came by reference raised, with the place in it; None: ``error``
    did not come through any."""
    places = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in _FILES]
    if not places:
        return None
    return f"{Path(places[-1].filename).name}, line {places[-1].lineno}: {_said(error)}"


def maker(found: object) -> Callable[[], Any]:
    """What gives one run its object: a class makes it anew, anything else is it."""
    return found if isinstance(found, type) else lambda: found


def takes(found: object, values: int) -> bool:
    """Whether ``found`` can be called with so many values; of a class, whether it can be made
    without any and its objects be called with so many."""
    if isinstance(found, type):
        call = _call_of(found)
        return call is not None and _binds(found, 0) and _binds(call, 1 + values)
    return callable(found) and _binds(found, values)


def makes(kind: type) -> bool:
    """Whether an object of ``kind`` can be made without any value."""
    return _binds(kind, 0)


def _binds(found: Callable[..., Any], values: int) -> bool:
    try:
        inspect.signature(found).bind(*range(values))
    except TypeError:
        return False
    except ValueError:  # written in C, without a signature
        return True
    return True


def _call_of(kind: type) -> Callable[..., Any] | None:
    """What calls objects of ``kind``; None: they cannot be called."""
    return next((vars(c)["__call__"] for c in kind.__mro__ if "__call__" in vars(c)), None)


@contextlib.contextmanager
def in_own_code(what: str, kind: type[UserError] = ConfigError, hint: str = "") -> Iterator[None]:
    """Whatever somebody's own code raises in here is one line that begins with ``what`` and ends
    with ``hint``.

    Raises:
        UserError: of ``kind``, with the place in that code.
    """
    try:
        yield
    except (UserError, MemoryError):
        raise
    except (Exception, SystemExit) as error:  # with exit code 0 nobody would be told
        said = fault_in(error) or _said(error)
        raise kind(f"{what} failed: {said}{hint}") from error


def _said(error: BaseException) -> str:
    text = str(error).strip()
    return ": ".join((type(error).__name__, *text.splitlines()[:1]))


class Registry(Mapping[str, T]):
    """Name → object of one kind, and one's own by ``package.module:attribute``."""

    def __init__(
        self,
        kind: str,
        known: Mapping[str, T],
        fits: Callable[[object], bool],
        wanted: str,
    ) -> None:
        """
        Args:
            kind: what the objects are, as errors call them, e.g. "rule".
            known: those that come along.
            fits: whether an object that somebody else wrote can be used.
            wanted: what ``fits`` asks for, e.g. "a function (updates, root) -> Aggregate".
        """
        self.kind = kind
        self._known = dict(known)
        self._fits = fits
        self._wanted = wanted

    def __getitem__(self, name: str) -> T:
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def find(self, text: str) -> T:
        """The object that ``text`` names.

        Raises:
            ConfigError: an unknown name, a reference to nothing, or to something of another kind.
        """
        if text in self._known:
            return self._known[text]
        if not is_reference(text):
            raise ConfigError(
                f"{self.kind} {text!r} is not known{_nearest(text, self._known)}; choose of"
                f" {', '.join(self._known)}, or name your own as package.module:attribute"
            )
        return self._fitting(text, load_reference(self.kind, text))

    def choose(self, given: object) -> tuple[str, T]:
        """What ``given`` names or is, under its name or as ``reference_to`` writes it.

        Raises:
            ConfigError: as ``find``, or ``given`` is of another kind.
        """
        if isinstance(given, str):
            return given, self.find(given)
        name = reference_to(given)
        return name, self._fitting(name, given)

    def _fitting(self, name: str, found: object) -> T:
        if not self._fits(found):
            raise ConfigError(f"{self.kind} {name!r} is {described(found)}, not {self._wanted}")
        return cast("T", found)


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f", did you mean {near[0]}?" if near else ""


def described(found: object) -> str:
    """What ``found`` is, for messages."""
    if isinstance(found, type):
        call = _call_of(found)
        objects = "" if call is None else f", whose objects take {_parameters(call)}"
        return f"the class {found.__name__}{_parameters(found)}{objects}"
    if inspect.isfunction(found):
        return f"a function {_parameters(found)}"
    call = _call_of(type(found))
    shown = "" if call is None else f", called with {_parameters(call)}"
    return f"{type(found).__name__}{shown}"


def _parameters(found: Callable[..., Any]) -> str:
    """``(x, y=0)``: without annotations."""
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):  # written in C
        return "(…)"
    bare = [p.replace(annotation=p.empty) for n, p in signature.parameters.items() if n != "self"]
    return str(signature.replace(parameters=bare, return_annotation=signature.empty))
