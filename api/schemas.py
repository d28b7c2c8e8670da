"""attrs classes to JSON Schema (2020-12): what a class holds is said once, where the class is.

The description of a schema is the class's docstring, and a field without a default is required. Of
what is handed out whole (rows of projections) every field is there, so every field is required.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

import attrs

from eventstore.cursor import Cursor
from projections.projection import Microseconds

Schema: TypeAlias = dict[str, Any]

CURSOR: Schema = {
    "type": "string",
    "pattern": r"^[0-9a-f]{1,64}\.[0-9]{1,19}\.[0-9a-f]{8}$",
    "description": "epoch.position.hash8; opaque to clients",
}
TIME: Schema = {"type": "string", "format": "date-time"}
_SCALARS: Mapping[object, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    bytes: {"type": "string", "contentEncoding": "base64"},
    type(None): {"type": "null"},
    Any: {},
    Cursor: CURSOR,
    datetime: TIME,
    Microseconds: TIME,
}


class Schemas:
    """Makes schemas, and keeps those of classes by name, to be referred to from elsewhere."""

    def __init__(self, place: str = "#/components/schemas/", *, mapped: bool = True) -> None:
        self.named: dict[str, Schema] = {}
        self._place = place
        self._mapped = mapped

    def of(self, kind: Any, *, whole: bool = False) -> Schema:
        """The schema of a type. ``whole``: every field of the classes in it is there."""
        if kind in _SCALARS:
            return dict(_SCALARS[kind])
        if attrs.has(kind):
            return self._reference(kind, whole)
        origin, parts = get_origin(kind), get_args(kind)
        if origin is Literal:
            return {"enum": list(parts)}
        if origin in (Union, types.UnionType):
            return {"anyOf": [self.of(part, whole=whole) for part in parts]}
        if origin in (list, tuple, frozenset):
            return {"type": "array", "items": self.of(parts[0], whole=whole)}
        if origin is dict:
            return {"type": "object", "additionalProperties": self.of(parts[1], whole=whole)}
        if kind is dict:
            return {"type": "object"}
        raise TypeError(f"no schema for {kind!r}")

    def refer(self, name: str) -> Schema:
        """A reference to a named schema."""
        return {"$ref": f"{self._place}{name}"}

    def _reference(self, cls: type[Any], whole: bool) -> Schema:
        if cls.__name__ not in self.named:
            self.named[cls.__name__] = {}  # it may hold itself
            self.named[cls.__name__] = self.fields_of(cls, whole=whole)
        return self.refer(cls.__name__)

    def fields_of(self, cls: type[Any], *, whole: bool = False, tag: str | None = None) -> Schema:
        """The schema of a class's fields; with a ``type`` of this value in front if tagged."""
        hints = get_type_hints(cls)
        properties = {f.name: self.of(hints[f.name], whole=whole) for f in attrs.fields(cls)}
        required = [f.name for f in attrs.fields(cls) if whole or f.default is attrs.NOTHING]
        if tag is not None:
            properties = {"type": {"const": tag}, **properties}
            required = ["type", *required]
        return object_of(properties, required, description(cls))

    def tagged(self, classes: Collection[type[Any]], tags: Collection[str]) -> Schema:
        """One of some classes, told apart by ``type``."""
        for cls, tag in zip(classes, tags, strict=True):
            if cls.__name__ not in self.named:
                self.named[cls.__name__] = self.fields_of(cls, tag=tag)
        return self.either(dict(zip(tags, (cls.__name__ for cls in classes), strict=True)))

    def either(self, names: Mapping[str, str]) -> Schema:
        """One of the schemas of these names, told apart by the ``type`` that each stands under."""
        references = {tag: self.refer(name) for tag, name in names.items()}
        schema: Schema = {"oneOf": list(references.values())}
        if self._mapped:
            mapping = {tag: reference["$ref"] for tag, reference in references.items()}
            schema["discriminator"] = {"propertyName": "type", "mapping": mapping}
        return schema


def object_of(
    properties: Mapping[str, Schema], required: Collection[str] | None = None, text: str = ""
) -> Schema:
    """An object with these properties; all of them required unless told otherwise."""
    needed = list(properties if required is None else required)
    return {
        "type": "object",
        **({"description": text} if text else {}),
        "properties": dict(properties),
        **({"required": needed} if needed else {}),
    }


def description(thing: Any) -> str:
    """The docstring of a class or function, as one text."""
    return " ".join((inspect.getdoc(thing) or "").split())
