"""The smallest service of the course: `uvicorn app_snippets.hello:app`."""

from fastapi_offline import FastAPIOffline

from app_snippets.service.guard import Confined

app = FastAPIOffline(title="Hello")  # its /docs bring their scripts along
app.add_middleware(Confined)  # and no other site may show them in a frame


@app.get("/")
def hello(name: str = "world") -> dict[str, str]:
    """Greet by name."""
    return {"message": f"Hello, {name}!"}
