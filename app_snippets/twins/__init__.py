"""One photo search, three times: in Flask, in FastAPI, and in Flask with an extension.

| module | what is in it |
| --- | --- |
| `index.py` | what they share: the photos, their vectors in Milvus, the encoder |
| `search_flask.py` | the search API in Flask, checks by hand |
| `search_flask_openapi.py` | in Flask with flask-openapi3, which validates and documents |
| `search_fastapi.py` | in FastAPI |
| `serving.py` | serves from this process with waitress and hypercorn, as `workshop.launch` with uvicorn |
| `load.py` | a load generator: `python -m app_snippets.twins.load URL` |
| `lines.py` | counts lines of code by what they do |
"""
