"""The web apps of the course: each module runs alone, `uvicorn app_snippets.NAME:app`."""
