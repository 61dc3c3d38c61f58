"""A client that openapi-python-client makes from a service's description does every call."""

import importlib
import re
import subprocess
import sys
from io import BytesIO

import httpx
import pytest
from websockets.sync.client import connect as websocket

from app_snippets import uploads
from workshop import datasets, launch

CONFIG = """\
content_type_overrides:  # bytes, to this generator, are this type alone
{types}
post_hooks: []
"""


@pytest.fixture
def generate(tmp_path, monkeypatch):
    """generate(description, media_type) makes the package; returns how to get a module of it."""

    def make(description: bytes, media_type: str = "image/webp"):
        (tmp_path / "description.json").write_bytes(description)
        types = [f"  {one}: application/octet-stream" for one in {media_type, "image/webp"}]
        (tmp_path / "config.yaml").write_text(CONFIG.format(types="\n".join(types)))
        program = "from openapi_python_client.cli import app; app()"
        made = subprocess.run(
            [
                *[sys.executable, "-c", program, "generate", "--path=description.json"],
                *["--config=config.yaml", "--output-path=generated_client", "--meta=none"],
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert made.returncode == 0, made.stdout + made.stderr
        assert "WARNING" not in made.stdout
        # openapi-python-client 0.29 names `Unset` for a call that takes two kinds of bodies, and
        # forgets to import it.
        for module in (tmp_path / "generated_client" / "api").rglob("*.py"):
            text = module.read_text()
            if "Unset" in text and not re.search(r"import .*\bUnset\b", text):
                module.write_text(f"from generated_client.types import UNSET, Unset\n{text}")
        monkeypatch.syspath_prepend(tmp_path)
        return lambda name: importlib.import_module(f"generated_client.{name}")

    yield make
    for name in [name for name in sys.modules if name.startswith("generated_client")]:
        del sys.modules[name]


@pytest.fixture
def generated(loaded, generate):
    """The module of a name in the package that was generated for a service."""
    media_type = loaded.case.media_type.partition(";")[0]
    return generate(loaded.client.get("openapi.json").content, media_type)


def operations(document: dict) -> dict[str, str]:
    """Each operation's name in the generated package, and the tag it stands under."""
    return {
        re.sub("_+", "_", operation["operationId"]): operation.get("tags", ["default"])[0]
        for methods in document["paths"].values()
        for operation in methods.values()
    }


def test_a_generated_client_does_every_call(loaded, generated):
    types, models = generated("types"), generated("models")
    client = generated("client").Client(base_url=loaded.url, timeout=60)
    description = loaded.client.get("openapi.json").json()
    ids = operations(description)
    called = set()

    def call(name, *args, status=200, **kwargs):
        called.add(name)
        answer = generated(f"api.{ids[name]}.{name}").sync_detailed(*args, client=client, **kwargs)
        assert answer.status_code == status, answer.content
        return answer

    def file(number):
        name, content = loaded.case.files[number]
        return types.File(payload=BytesIO(content), file_name=name, mime_type="image/webp")

    assert call("health_health_get").parsed.service == loaded.case.name
    assert call("count_count_get").parsed.count == loaded.count()
    assert call("categories_categories_get").parsed.categories
    body = models.BodyAddItemsItemsPost(files=[file(0), file(1)], category="generated")
    accepted = call("add_items_items_post", body=body, status=202)
    assert accepted.parsed.accepted == 2
    loaded.finished(accepted)
    if loaded.case.is_text:
        text = models.TextItem(text=loaded.case.other(7).decode(), category="texts")
        sent = call("add_items_items_post", body=models.TextItems(items=[text]), status=202)
        assert loaded.finished(sent)["done"] == 1
        (item,) = call("list_items_items_get", category="texts").parsed.items
        call("delete_item_items_item_id_delete", item.id, status=204)
    job = call("get_job_jobs_job_id_get", accepted.parsed.job_id).parsed
    assert (job.state, job.done) == ("done", 2)
    call("cancel_job_jobs_job_id_delete", accepted.parsed.job_id, status=202)
    listed = call("list_items_items_get", category="generated").parsed
    assert listed.total == 2
    item_id = listed.items[0].id
    assert call("get_item_items_item_id_get", item_id).parsed.id == item_id
    media = call("get_media_items_item_id_media_get", item_id).parsed
    assert media.payload.read() == loaded.client.get(f"items/{item_id}/media").content
    query = models.SearchByText(text=loaded.case.text, limit=3)
    assert len(call("search_search_post", body=query).parsed.hits) == 3
    query = models.BodySearchByFileSearchFilePost(file=file(0), limit=3)
    assert len(call("search_by_file_search_file_post", body=query).parsed.hits) == 3
    for label in loaded.case.calls:
        method, path = label.lower().split()
        operation = description["paths"][path][method]
        name = re.sub("_+", "_", operation["operationId"])
        places = [loaded.case.place(part, item_id) for part in re.findall(r"{(\w+)}", path)]
        status = next(int(status) for status in operation["responses"])
        if "requestBody" not in operation:
            call(name, *places, status=status)
            continue
        schema = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        model = getattr(models, schema.rpartition("/")[2])
        call(name, *places, body=model.from_dict(loaded.case.body(label, item_id)))
    for item in listed.items:
        call("delete_item_items_item_id_delete", item.id, status=204)
    samples = call("add_samples_samples_post", status=202)
    loaded.finished(samples)
    refused = generated(
        "api.items.delete_all_items_items_delete"
    )  # not in a service that others use
    assert refused.sync_detailed(client=client, confirm="false").status_code == 422
    assert called | {"delete_all_items_items_delete"} == set(ids)


def test_a_generated_client_does_every_call_of_the_uploads(generate, home):
    app = uploads.create_app(uploads.Settings(name="generated"))
    with launch(app, timeout=60) as service:
        description = httpx.get(f"{service.url}/openapi.json")
        generated = generate(description.content)
        types, models = generated("types"), generated("models")
        client = generated("client").Client(base_url=service.url, timeout=60)
        ids = operations(description.json())
        called = set()

        def call(name, *args, **kwargs):
            (whole,) = [found for found in ids if found.startswith(name)]
            called.add(whole)
            module = generated(f"api.{ids[whole]}.{whole}")
            return module.sync_detailed(*args, client=client, **kwargs)

        photo = datasets.photos()[0].path.read_bytes()
        file = types.File(payload=BytesIO(photo), file_name="a.webp", mime_type="image/webp")
        added = call("add_photos", body=models.BodyAddPhotosPhotosPost(files=[file]))
        assert (added.status_code, added.parsed.accepted) == (202, 1)
        place = f"ws://127.0.0.1:{service.port}/{added.headers['location']}/events"
        with websocket(place, proxy=None) as events:
            list(events)  # it closes after the last
        assert call("get_job", added.parsed.job_id).parsed.state == "done"
        assert call("count").parsed.count == 1
        assert call("cancel_job", added.parsed.job_id).status_code == 202
        assert called == set(ids)
