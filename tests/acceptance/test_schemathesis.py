"""Requests made up from /openapi.json against a real server: no 5xx, schema true, auth held."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_schema_conformance,
    status_code_conformance,
)

from api.app import ROUTES
from api.openapi import openapi
from tests.acceptance.world import Server, furnish, running

# A stream ends with its client, and would hold the test for ever.
SCHEMA = schemathesis.openapi.from_dict(openapi(ROUTES)).exclude(path="/v1/events")
CHECKS: list[CheckFunction] = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    ignored_auth,
]
EXAMPLES = 40


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server whose rates are no matter here, and an admin's token."""
    data = tmp_path_factory.mktemp("contract") / "data"
    token = furnish(data, adm="admin")["adm"]
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MALOTE_REQUESTS_USER_PER_S", "100000")
        with running(data) as server:
            yield server, token


@SCHEMA.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
@pytest.mark.timeout(300)
def test_whatever_is_asked_is_answered_as_described(
    case: schemathesis.Case, site: tuple[Server, str]
) -> None:
    """Never 5xx; status, media type and body as described; a token where one is wanted."""
    server, token = site
    (case.query or {}).pop("follow", None)  # a stream, as above
    case.call_and_validate(
        base_url=server.url, headers={"Authorization": f"Bearer {token}"}, checks=CHECKS
    )
