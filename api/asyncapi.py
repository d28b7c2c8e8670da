"""``/asyncapi.json``: AsyncAPI 3.0 of the WebSocket, made of the frames' own classes."""

from __future__ import annotations

from typing import Any, get_args
from urllib.parse import urlsplit

import orjson

from api.event_schemas import event
from api.frame_examples import EXAMPLES
from api.house import RELEASE
from api.openapi import LICENCE, headline
from api.schemas import Schema, Schemas, description
from transport.frames import (
    SUBPROTOCOL,
    ClientFrame,
    CloseCode,
    Events,
    Replayed,
    ServerFrame,
    encode_frame,
    frame_type,
)

CHANNEL = "session"


def asyncapi(base_url: str) -> dict[str, Any]:
    """The document of the server at this URL."""
    schemas = Schemas(mapped=False)  # its discriminator knows a schema by its own name only
    heard, said = get_args(ClientFrame), get_args(ServerFrame)
    messages = {frame_type(cls): _message(cls, schemas) for cls in (*heard, *said)}
    parts = urlsplit(base_url)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": f"Malote, {SUBPROTOCOL}",
            "version": RELEASE,
            "description": _about(),
            "license": {"name": LICENCE["name"]},
        },
        "defaultContentType": "application/json",
        "servers": {
            "this": {
                "host": parts.netloc,
                "pathname": parts.path or "/",
                "protocol": "wss" if parts.scheme == "https" else "ws",
            }
        },
        "channels": {
            CHANNEL: {
                "address": "v1/ws",
                "title": "One device's session",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": {"method": "GET"}},
            }
        },
        "operations": {
            "hear": _operation("receive", heard, "What a client may send."),
            "say": _operation("send", said, "What the server sends."),
        },
        "components": {"messages": messages, "schemas": schemas.named},
    }


def _message(cls: type[Any], schemas: Schemas) -> dict[str, Any]:
    text = description(cls)
    return {
        "name": frame_type(cls),
        "title": headline(text),
        "summary": text,
        "payload": _payload(cls, schemas),
        "examples": [
            {"payload": orjson.loads(encode_frame(frame))}
            for frame in EXAMPLES
            if type(frame) is cls
        ],
    }


def _payload(cls: type[Any], schemas: Schemas) -> Schema:
    payload = schemas.fields_of(cls, tag=frame_type(cls))
    if cls in (Events, Replayed):
        payload["properties"]["events"] = {"type": "array", "items": event(schemas)}
    return payload


def _operation(action: str, frames: tuple[type[Any], ...], text: str) -> dict[str, Any]:
    channel = f"#/channels/{CHANNEL}"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "summary": text,
        "messages": [{"$ref": f"{channel}/messages/{frame_type(cls)}"} for cls in frames],
    }


def _about() -> str:
    codes = ", ".join(f"{code.value} {code.name}" for code in CloseCode)
    return (
        "Text frames, one JSON object each, told apart by type. The first is hello, with the token;"
        " no token is in a URL. docs/protocol.md says which frame is legal when."
        f" Close codes: {codes}. 4500 to 4999: do not reconnect."
    )
