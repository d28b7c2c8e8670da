"""The people of the simulator, none of whom exist, and what they say.

Their numbers lie where no telephone is: area code 00 in Brazil, the 555-01xx range elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from attrs import frozen

Language: TypeAlias = Literal["pt", "en"]


@frozen
class Actor:
    """Somebody who writes; ``user_id`` and ``wa_id`` as WhatsApp knows them."""

    name: str
    language: Language
    wa_id: str
    user_id: str


_NAMES: Mapping[Language, Sequence[str]] = {
    "pt": (
        "Beatriz Nogueira",
        "Caio Tavares",
        "Dandara Rocha",
        "Elias Monteiro",
        "Lúcia Prado",
        "Otávio Brandão",
        "Rafaela Lopes",
        "Yara Campos",
    ),
    "en": (
        "Ingrid Halvorsen",
        "Kenji Morita",
        "Malik Osei",
        "Noor Haddad",
        "Priya Nair",
        "Zoe Whitfield",
    ),
}

QUESTIONS: Mapping[Language, Sequence[str]] = {
    "pt": (
        "Oi, bom dia! Vocês abrem no sábado?",
        "Meu pedido já saiu para entrega?",
        "Consigo trocar o tamanho? Peguei M e queria G 😅",
        "Chegou tudo certinho, muito obrigado! 🙌",
        "Tem esse modelo na cor verde?",
        "Qual o prazo para o meu CEP?",
        "Dá para parcelar em 3x?",
        "Pode deixar na portaria, por favor.",
        "Esqueci de colocar o cupom, ainda dá tempo?",
        "Vou passar aí depois do almoço, tudo bem?",
        "A nota fiscal vem junto?",
        "Nossa, que rápido! Obrigada 💚",
    ),
    "en": (
        "Hi! Are you open on Saturday?",
        "Has my order shipped yet?",
        "Could I swap it for a larger size?",
        "Everything arrived in one piece, thank you! 🙌",
        "Do you have this one in green?",
        "How long does delivery take?",
        "Please leave it at the front desk.",
        "I forgot to use my coupon. Is it too late?",
        "I'll drop by after lunch, if that's fine.",
        "Is the invoice in the box?",
        "Wow, that was quick 💚",
        "One more question: can I pay on pickup?",
    ),
}

ANSWERS: Mapping[Language, Sequence[str]] = {
    "pt": (
        "Bom dia! Sim, das 9h às 13h 😊",
        "Saiu agora há pouco, chega ainda hoje.",
        "Claro, já deixei separado para você.",
        "Combinado!",
    ),
    "en": (
        "Good morning! Yes, from 9 to 1 😊",
        "It has just left, you will have it today.",
        "Sure, I have put one aside for you.",
        "Deal!",
    ),
}

CAPTIONS: Mapping[Language, Sequence[str]] = {
    "pt": ("Olha como ficou!", "Chegou assim 😕", "É este aqui"),
    "en": ("Look at that!", "It arrived like this 😕", "This one here"),
}

PLACES: Mapping[Language, Sequence[str]] = {
    "pt": ("Padaria da Esquina", "Praça Central", "Portaria"),
    "en": ("Corner Bakery", "Main Square", "Front desk"),
}

EMOJI = ("👍", "❤️", "😂", "🙏", "🎉")


def _actor(name: str, language: Language, index: int) -> Actor:
    if language == "pt":
        return Actor(name, language, f"550095550{index:04}", f"BR.100000000000{index:04}")
    return Actor(name, language, f"120255501{index:02}", f"US.200000000000{index:04}")


# Not thrown by dice: in a second demo on the same folder everybody is who they were.
CAST = tuple(
    _actor(name, language, index)
    for language, names in _NAMES.items()
    for index, name in enumerate(names)
)
