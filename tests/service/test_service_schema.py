"""Schemathesis attacks each service through its own OpenAPI description.

It sends what the description allows and what it forbids, and holds every answer against it: no 5xx,
no status, header or body that is not documented, no bad input accepted, no good input refused.
"""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from services import SERVICES, running

OPERATIONS = [
    (service, operation.ok())
    for service in SERVICES
    for operation in schemathesis.openapi.from_dict(
        service.create_app().openapi()
    ).get_all_operations()
]
# Where every text is an id, if an unknown one, there is nothing to get wrong.
ATTACKS = [
    (owner, operation, mode)
    for owner, operation in OPERATIONS
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or [*operation.query, *operation.body]
]


@pytest.fixture(scope="module")
def attacked(case, tmp_path_factory):
    """A service of its own, that may be attacked as often as one likes."""
    with running(case, tmp_path_factory.mktemp("attacked"), upload_rate="100000/second") as found:
        found.load(case.files)
        yield found


@pytest.mark.parametrize(
    "owner, operation, mode", ATTACKS, ids=[f"{o.label}-{m.value}" for _, o, m in ATTACKS]
)
def test_answers_are_as_described(attacked, owner, operation, mode):
    excluded = []
    if operation.path == "/search/file":  # to OpenAPI any bytes are a file, to us few are a picture
        excluded.append(positive_data_acceptance)
    if any(body.media_type == "multipart/form-data" for body in operation.body):
        excluded.append(negative_data_rejection)  # in a form, `false` and `null` are good texts
    answers = []

    @settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=HealthCheck)
    @given(operation.as_strategy(generation_mode=mode))
    def attack(request):
        answer = request.call_and_validate(
            base_url=attacked.url, timeout=60, excluded_checks=excluded
        )
        answers.append(answer)
        if answer.status_code == 202 and "location" in answer.headers:
            attacked.client.delete(answer.headers["location"][0])

    attack()
    assert answers


@pytest.mark.parametrize("owner, operation", OPERATIONS, ids=[o.label for _, o in OPERATIONS])
def test_answers_about_what_is_there_are_as_described(attacked, owner, operation):
    job = attacked.load(attacked.case.files[:1])
    item = attacked.client.get("items").json()["items"][0]
    for parameter in operation.path_parameters:
        if maker := owner.named_by.get(parameter.name):
            method, path = maker.split()
            attacked.client.request(method, path[1:], json=owner.body(maker, item["id"]))
    request = operation.Case(
        path_parameters={
            parameter.name: owner.place(parameter.name, item["id"], job["id"])
            for parameter in operation.path_parameters
        },
        query={"confirm": "true"} if operation.label == "DELETE /items" else {},
    )
    if operation.label == "POST /search":
        request.body, request.media_type = {"item_id": item["id"]}, "application/json"
    elif owner.calls.get(operation.label):
        request.body = owner.body(operation.label, item["id"])
        request.media_type = "application/json"
    elif operation.label in ("POST /items", "POST /search/file"):
        (name, body) = ("files", [attacked.case.files[0][1]])
        if operation.label == "POST /search/file":
            (name, body) = ("file", attacked.case.files[0][1])
        request.body, request.media_type = {name: body}, "multipart/form-data"
    response = request.call_and_validate(base_url=attacked.url, timeout=60)
    assert response.status_code in (200, 202, 204)
    if "location" in response.headers:
        attacked.client.delete(response.headers["location"][0])
