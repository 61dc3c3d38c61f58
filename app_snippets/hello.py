"""The smallest service of the course: `uvicorn app_snippets.hello:app`."""

from fastapi import FastAPI

app = FastAPI(title="Hello")


@app.get("/")
def hello(name: str = "world") -> dict[str, str]:
    """Greet by name."""
    return {"message": f"Hello, {name}!"}
