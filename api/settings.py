"""Every setting: an environment variable ``MALOTE_<NAME>``, read once, at the edge.

A secret can also come from a file, ``MALOTE_<NAME>_FILE``, so that it need not be in the
environment of a process listing. Units come last in the names.
"""

# ruff: noqa: RUF009 - option() and secret() are attrs' field() with a help text

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from attrs import Attribute, define, fields
from typed_settings import load_settings, option, register_strlist_hook, secret
from typed_settings.converters import get_default_cattrs_converter
from typed_settings.exceptions import InvalidSettingsError
from typed_settings.loaders import DictLoader, EnvLoader, Loader
from typed_settings.types import LoadedSettings, LoaderMeta, OptionList, SecretStr, SettingsDict

from transport.origin import OriginList

PREFIX = "MALOTE_"
JWT_SECRET_BYTES_MIN = 32
_WILDCARDS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - named here in order to be refused
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


class SettingsInvalid(ValueError):
    """The settings contradict themselves or the documentation; the message is one line."""


def _at_least(least: float) -> Any:
    def check(_: Any, attribute: Attribute[Any], value: float) -> None:
        if value < least:
            raise ValueError(f"{attribute.name} must be at least {least:g}")

    return check


def _base_url(_: Any, attribute: Attribute[Any], value: str | None) -> None:
    if value is None:
        return
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{attribute.name} must look like https://inbox.example.org")


def _long_enough(_: Any, attribute: Attribute[Any], value: SecretStr | None) -> None:
    # RFC 7518, 3.2: a key for HS256 has at least the hash's 256 bits. A short one can be guessed
    # offline from any one token, by anybody who was given one.
    if value is not None and len(value.encode()) < JWT_SECRET_BYTES_MIN:
        raise ValueError(f"{attribute.name} must be at least {JWT_SECRET_BYTES_MIN} bytes")


def _networks(_: Any, attribute: Attribute[Any], value: tuple[str, ...]) -> None:
    for each in value:
        try:
            ip_network(each)
        except ValueError:
            told = f"{attribute.name} are addresses, or networks like 10.0.0.0/8"
            raise ValueError(told) from None


def _port(_: Any, attribute: Attribute[Any], value: int) -> None:
    if not 0 <= value <= 65_535:
        raise ValueError(f"{attribute.name} must be between 0 and 65535")


@define(frozen=True, kw_only=True)
class Settings:
    """What a person may decide about one server. The defaults serve one machine, on loopback."""

    data: Path = option(
        default=Path("malote-data"), help="Folder that holds everything; made with mode 0700."
    )
    host: str = option(default="127.0.0.1", help="Address to listen on.")
    port: int = option(default=8080, validator=_port, help="Port to listen on; 0 takes a free one.")
    public_base_url: str | None = option(
        default=None,
        validator=_base_url,
        help="Where browsers and providers reach this server, such as https://inbox.example.org.",
    )
    allowed_origins: tuple[str, ...] = option(
        default=(),
        help="Origins that may open a WebSocket, comma-separated, exact. Default: this server's.",
    )
    allowed_hosts: tuple[str, ...] = option(
        default=(),
        help="Host names this server answers to, comma-separated; * is any. Default: its own.",
    )
    jwt_secret: SecretStr | None = secret(
        default=None,
        validator=_long_enough,
        help="Takes HS256 tokens of your own backend (sub, inboxes, role, exp); 32 bytes or more.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = option(
        default="info", help="Least severe log line: debug, info, warning or error."
    )
    log_format: Literal["auto", "pretty", "json"] = option(
        default="auto", help="Log lines: pretty, json, or auto: pretty on a terminal, else json."
    )
    webhook_bytes_max: int = option(
        default=3 * 1024 * 1024,
        validator=_at_least(1024),
        help="Largest webhook body; a provider's own smaller limit stands.",
    )
    sync_wait_s: float = option(
        default=2.0,
        validator=_at_least(0.0),
        help="How long an answer waits for the conversation list to catch up with the log.",
    )
    sse_heartbeat_s: float = option(
        default=15.0,
        validator=_at_least(0.1),
        help="Silence on /v1/events after which a comment keeps the connection alive.",
    )
    connections_max: int = option(
        default=5_000,
        validator=_at_least(1),
        help="WebSockets at once; the next is told to come back later (1013).",
    )
    connections_user_max: int = option(
        default=2_500, validator=_at_least(1), help="WebSockets of one user at once."
    )
    connections_address_max: int = option(
        default=2_500,
        validator=_at_least(1),
        help="WebSockets from one address at once; behind a proxy that is everybody.",
    )
    queue_events_max: int = option(
        default=2_000,
        validator=_at_least(1),
        help="Events that wait for one device; older ones are skipped, and stay in /v1/sync.",
    )
    queue_age_days: float = option(
        default=7.0,
        validator=_at_least(0.001),
        help="How long events wait for a device; older ones are skipped, and stay in /v1/sync.",
    )
    heartbeat_retention_hours: float = option(
        default=24.0,
        validator=_at_least(1.0),
        help="Older heartbeats are compacted: one sample a connection and minute is left of them.",
    )
    device_expiry_days: float = option(
        default=30.0,
        validator=_at_least(0.001),
        help="A device not seen for so long is closed: nothing waits for it until it returns.",
    )
    requests_user_per_s: float = option(
        default=100.0,
        validator=_at_least(0.1),
        help="HTTP requests a second of one user, four seconds' worth at once; then 429.",
    )
    requests_address_per_s: float = option(
        default=1_000.0,
        validator=_at_least(0.1),
        help="HTTP requests a second from one address, webhooks aside; then 429.",
    )
    webhooks_inbox_per_s: float = option(
        default=5_000.0,
        validator=_at_least(0.1),
        help="Authentic webhooks a second of one inbox; then 503, which every provider repeats.",
    )
    trusted_proxies: tuple[str, ...] = option(
        default=(),
        validator=_networks,
        help="Addresses or networks whose X-Forwarded-For is believed, comma-separated, exact.",
    )
    shutdown_timeout_s: float = option(
        default=4.0,
        validator=_at_least(0.1),
        help="How long a stopping server waits for requests under way.",
    )

    @property
    def listen_url(self) -> str:
        """The address it listens on, as a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def base_url(self) -> str:
        """Where clients reach this server, without a slash at the end."""
        return (self.public_base_url or self.listen_url).rstrip("/")

    @property
    def origins(self) -> frozenset[str]:
        """The exact origins browsers may open a WebSocket from."""
        if self.allowed_origins:
            return frozenset(self.allowed_origins)
        parts = urlsplit(self.base_url)
        own = f"{parts.scheme}://{parts.netloc}"
        loopback = {f"http://{name}:{self.port}" for name in _LOOPBACK}
        return frozenset({own} if self.public_base_url else {own, *loopback})

    @property
    def hosts(self) -> frozenset[str]:
        """The names the ``Host`` header may give, without port, in lower case."""
        if self.allowed_hosts:
            return frozenset(name.lower() for name in self.allowed_hosts)
        named = urlsplit(self.base_url).hostname or ""
        return frozenset({*_LOOPBACK, f"[{named}]" if ":" in named else named, self.host.lower()})


def is_loopback_url(url: str) -> bool:
    """Whether a URL names this machine only."""
    name = urlsplit(url).hostname or ""
    return name in {"localhost", "127.0.0.1", "::1"}


def load(**overrides: Any) -> Settings:
    """The settings from the environment; ``overrides`` win, None among them means absent.

    Raises :class:`SettingsInvalid` with one line that says what to mend.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    loaders: list[Loader] = [EnvLoader(PREFIX), _SecretFiles(), DictLoader(given)]
    converter = get_default_cattrs_converter(resolve_paths=False)
    register_strlist_hook(converter, fn=_comma_separated)
    try:
        settings = load_settings(Settings, loaders, converter=converter)
    except InvalidSettingsError as invalid:
        raise SettingsInvalid(_one_line(invalid)) from None
    if settings.host in _WILDCARDS and not (settings.public_base_url or settings.allowed_hosts):
        raise SettingsInvalid(
            "listening on every address needs MALOTE_PUBLIC_BASE_URL or MALOTE_ALLOWED_HOSTS"
        )
    try:
        OriginList(settings.allowed_origins)
    except ValueError as wrong:
        raise SettingsInvalid(f"MALOTE_ALLOWED_ORIGINS: {wrong}") from None
    return settings


def described(environment: Mapping[str, str] = os.environ) -> list[tuple[str, str, str]]:
    """Each setting's variable, present value (a secret masked) and help text, for ``--help``."""
    rows = []
    for attribute in fields(Settings):
        name = f"{PREFIX}{attribute.name.upper()}"
        shown = _masked(attribute.name, environment.get(name, attribute.default))
        rows.append((name, shown, attribute.metadata["typed-settings"]["help"]))
    return rows


def in_force(settings: Settings) -> dict[str, str]:
    """Each setting's variable and the value that counts, whatever it came from; no secret."""
    return {
        f"{PREFIX}{attribute.name.upper()}": _masked(attribute.name, value)
        for attribute in fields(Settings)
        for value in [getattr(settings, attribute.name)]
    }


def _masked(name: str, value: Any) -> str:
    if name in _SECRETS:
        return "***" if value else ""
    return _shown(value)


_SECRETS = frozenset({"jwt_secret"})


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return "" if value is None else str(value)


def _comma_separated(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


class _SecretFiles:
    """Reads each secret whose ``MALOTE_…_FILE`` names a file."""

    def __call__(self, settings_cls: type, options: OptionList) -> LoadedSettings:  # noqa: ARG002
        """typed-settings' loader protocol."""
        named = {
            info.name: path
            for info in options
            if info.name in _SECRETS and (path := os.environ.get(_file_variable(info.name)))
        }
        values: SettingsDict = {
            name: _read_secret(name, Path(path)) for name, path in named.items()
        }
        return LoadedSettings(values, LoaderMeta(self))


def _file_variable(name: str) -> str:
    return f"{PREFIX}{name.upper()}_FILE"


def _read_secret(name: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as trouble:
        reason = getattr(trouble, "strerror", None) or "not UTF-8 text"
        raise SettingsInvalid(f"{_file_variable(name)} cannot be read: {reason}") from None


def _one_line(invalid: InvalidSettingsError) -> str:
    return " ".join("; ".join(str(error) for error in invalid.exceptions).split())
