"""Sources of webhooks: ``verify`` and ``parse``, bytes in, drafts out.

A new provider is one module that has the members of :class:`Provider`, one entry in
:data:`PROVIDERS` and one folder of samples in ``tests/samples``.
"""

from __future__ import annotations

from collections.abc import Mapping

from api.providers import standard, whatsapp
from api.providers.contract import (
    Provider,
    Request,
    Secret,
    SecretMalformed,
    SignatureInvalid,
    conversation_id,
)

PROVIDERS: Mapping[str, Provider] = {"whatsapp": whatsapp, "standard": standard}
"""By the name used on the command line and in the log."""


class ProviderUnknown(ValueError):
    """No provider has this name; the message lists those that do."""


def provider_named(name: str) -> Provider:
    """The provider of this name. Raises :class:`ProviderUnknown`."""
    if name not in PROVIDERS:
        known = ", ".join(PROVIDERS)
        raise ProviderUnknown(f"no provider is called {name[:40]!r}; there are: {known}")
    return PROVIDERS[name]


__all__ = [
    "PROVIDERS",
    "Provider",
    "ProviderUnknown",
    "Request",
    "Secret",
    "SecretMalformed",
    "SignatureInvalid",
    "conversation_id",
    "provider_named",
]
