"""What a WhatsApp message says: the object named by its ``type``, as :data:`Content`.

A type that is not in the table, here or in a future version of the API, is ``Unsupported`` under
its own name: the message is shown as such, and the raw webhook has all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, get_args

from api.providers.node import Malformed, Node
from eventstore.events import (
    Contacts,
    Content,
    Location,
    Media,
    Notice,
    Order,
    OrderItem,
    ProviderError,
    Reaction,
    Reply,
    SharedContact,
    Text,
    Unsupported,
)

MediaKind = Literal["image", "audio", "video", "document", "sticker"]
ChoiceKind = Literal["button_reply", "list_reply"]

_CHOICES: Mapping[str, ChoiceKind] = {kind: kind for kind in get_args(ChoiceKind)}


def content(message: Node, errors: tuple[ProviderError, ...] = ()) -> Content:
    """What the message says.

    ``errors`` are those reported beside it, for a message that has no content of its own. Raises
    :class:`~api.providers.node.Malformed` where a known type lacks what it is about.
    """
    kind = message.text("type")
    own_errors = provider_errors(message) or errors
    read = _READERS.get(kind)
    # "interactive" comes without its object when the provider could not convert it.
    if read is None or (message.get(kind) is None and own_errors):
        return Unsupported(_unsupported_kind(message, kind), own_errors)
    return read(message)


def provider_errors(node: Node) -> tuple[ProviderError, ...]:
    """The ``errors`` of a message, a status or a value."""
    return tuple(
        ProviderError(
            code=error.maybe_int("code"),
            title=error.maybe_text("title"),
            detail=error.maybe_child("error_data").maybe_text("details")
            or error.maybe_text("message"),
        )
        for error in node.maybe_each("errors")
    )


def _unsupported_kind(message: Node, kind: str) -> str:
    # {"type": "unsupported", "unsupported": {"type": "poll"}} says what it would have been.
    if kind == "unsupported":
        return message.maybe_child("unsupported").maybe_text("type") or kind
    return kind


def _text(message: Node) -> Content:
    return Text(message.child("text").text("body"))


def _media(kind: MediaKind, message: Node) -> Content:
    media = message.child(kind)
    return Media(
        kind=kind,
        media_id=media.maybe_text("id"),
        mime_type=media.maybe_text("mime_type"),
        sha256=media.maybe_text("sha256"),
        caption=media.maybe_text("caption"),
        filename=media.maybe_text("filename"),
        url=media.maybe_text("url"),
        voice=media.flag("voice"),
        animated=media.flag("animated"),
    )


def _location(message: Node) -> Content:
    place = message.child("location")
    return Location(
        latitude=place.number("latitude"),
        longitude=place.number("longitude"),
        name=place.maybe_text("name"),
        address=place.maybe_text("address"),
        url=place.maybe_text("url"),
    )


def _contacts(message: Node) -> Content:
    cards = message.member("contacts")
    if not cards.value:
        raise Malformed(cards.path, "no contacts")
    return Contacts(tuple(_shared_contact(card) for card in cards.elements()))


def _shared_contact(card: Node) -> SharedContact:
    name = card.maybe_child("name")
    phones = (
        phone.maybe_text("phone") or phone.maybe_text("wa_id")
        for phone in card.maybe_each("phones")
    )
    return SharedContact(
        name=name.maybe_text("formatted_name") or name.maybe_text("first_name") or "",
        phones=tuple(phone for phone in phones if phone),
    )


def _order(message: Node) -> Content:
    order = message.child("order")
    return Order(
        catalog=order.maybe_text("catalog_id"),
        items=tuple(_order_item(item) for item in order.member("product_items").elements()),
        note=order.maybe_text("text"),
    )


def _order_item(item: Node) -> OrderItem:
    return OrderItem(
        product=item.text("product_retailer_id"),
        quantity=item.number("quantity"),
        price=item.maybe_number("item_price"),
        currency=item.maybe_text("currency"),
    )


def _reaction(message: Node) -> Content:
    # Taken back: the emoji is an empty string, or not there at all.
    reaction = message.child("reaction")
    return Reaction(reaction.text("message_id"), reaction.maybe_text("emoji"))


def _interactive(message: Node) -> Content:
    interactive = message.child("interactive")
    kind = interactive.text("type")
    if kind in _CHOICES:
        choice = interactive.child(kind)
        return Reply(
            kind=_CHOICES[kind],
            choice_id=choice.maybe_text("id"),
            title=choice.maybe_text("title"),
            description=choice.maybe_text("description"),
        )
    if kind == "nfm_reply":
        form = interactive.child(kind)
        return Reply(
            kind="form", title=form.maybe_text("body"), form=form.maybe_text("response_json")
        )
    return Unsupported(f"interactive {kind}")


def _button(message: Node) -> Content:
    button = message.child("button")
    return Reply(
        kind="button", choice_id=button.maybe_text("payload"), title=button.maybe_text("text")
    )


def _system(message: Node) -> Content:
    system = message.child("system")
    return Notice(system.maybe_text("type") or "system", system.maybe_text("body"))


_READERS: Mapping[str, Callable[[Node], Content]] = {
    "text": _text,
    "image": partial(_media, "image"),
    "audio": partial(_media, "audio"),
    "video": partial(_media, "video"),
    "document": partial(_media, "document"),
    "sticker": partial(_media, "sticker"),
    "location": _location,
    "contacts": _contacts,
    "order": _order,
    "reaction": _reaction,
    "interactive": _interactive,
    "button": _button,
    "system": _system,
}
