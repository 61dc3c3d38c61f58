"""The frame that turns every failure into a Problem holds for any app, not for ours alone."""

from fastapi import FastAPI
from fastapi.testclient import TestClient

from app_snippets.service import problems


def test_a_service_that_names_no_model_describes_itself():
    app = FastAPI()
    problems.install(app)

    @app.get("/up", responses=problems.documented(404))
    def up():
        return True

    description = TestClient(app).get("/openapi.json")
    assert description.status_code == 200
    assert {"Problem", "Fault"} <= set(description.json()["components"]["schemas"])
