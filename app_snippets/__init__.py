"""The web apps of the course: each module runs alone, `uvicorn app_snippets.NAME:app`."""

import workshop  # noqa: F401  (first: it keeps what a module imports from calling home or a proxy)
