"""Settings: the environment in, one frozen object or one clear line out."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from api.settings import Settings, SettingsInvalid, described, load


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in attrs.fields(Settings):
        monkeypatch.delenv(f"MALOTE_{field.name.upper()}", raising=False)
    monkeypatch.delenv("MALOTE_JWT_SECRET_FILE", raising=False)


def test_every_setting_has_a_help_text_and_is_described() -> None:
    """`malote serve --help` shows all of them."""
    rows = described({})
    assert [name for name, _, _ in rows] == [
        f"MALOTE_{field.name.upper()}" for field in attrs.fields(Settings)
    ]
    assert all(text.endswith(".") for _, _, text in rows)


def test_the_environment_is_read_and_an_override_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag of the command line is stronger than a variable, None is no flag."""
    monkeypatch.setenv("MALOTE_PORT", "9000")
    monkeypatch.setenv("MALOTE_DATA", "somewhere")
    monkeypatch.setenv("MALOTE_ALLOWED_ORIGINS", "https://a.example, https://b.example")
    settings = load(port=None, data=Path("elsewhere"))
    assert settings.port == 9000
    assert settings.data == Path("elsewhere")
    assert settings.allowed_origins == ("https://a.example", "https://b.example")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "65536"),
        ("LOG_LEVEL", "loud"),
        ("JWT_SECRET", "x" * 31),
        ("PUBLIC_BASE_URL", "inbox.example.org"),
        ("SHUTDOWN_TIMEOUT_S", "-1"),
        ("HOST", "0.0.0.0"),  # noqa: S104
        ("JWT_SECRET_FILE", "/nowhere/at/all"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """What to mend is in the message, and never the secret."""
    monkeypatch.setenv(f"MALOTE_{name}", value)
    with pytest.raises(SettingsInvalid) as refused:
        load()
    message = str(refused.value)
    assert "\n" not in message
    assert "x" * 31 not in message
    assert name.lower() in message.lower() or name == "HOST"


def test_a_secret_comes_from_a_file_and_is_never_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """MALOTE_JWT_SECRET_FILE is read; repr, str and help do not tell what was in it."""
    secret = "s" * 40
    (tmp_path / "secret").write_text(f"{secret}\n")
    monkeypatch.setenv("MALOTE_JWT_SECRET_FILE", str(tmp_path / "secret"))
    settings = load()
    assert settings.jwt_secret == secret
    assert secret not in repr(settings)
    assert secret not in str(described({"MALOTE_JWT_SECRET": secret}))


def test_origins_and_hosts_are_its_own_unless_told_otherwise() -> None:
    """A fresh server answers to loopback names; a public one to its public name."""
    local = Settings(port=9000)
    assert "http://localhost:9000" in local.origins
    assert "https://evil.example" not in local.origins
    assert local.hosts >= {"localhost", "127.0.0.1", "[::1]"}
    public = Settings(public_base_url="https://inbox.example.org/")
    assert public.origins == {"https://inbox.example.org"}
    assert "inbox.example.org" in public.hosts
    assert public.base_url == "https://inbox.example.org"
