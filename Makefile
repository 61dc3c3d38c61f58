# `make lab` opens the course, `make test` checks all of it. Without make: python3 tools/course.py lab

# the first Python here that suits; `make lab PYTHON=/path/to/python3.12` names another
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	$$python -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	2>/dev/null && echo $$python && exit; done; echo python3)
COURSE = $(PYTHON) tools/course.py
RUN = .venv/bin/python
AUTHOR = .venv-author/bin/python

.PHONY: help lab update setup setup-test setup-author test notebooks notebooks-check data models bench \
	bench-index bench-web server server-stop room lm bundle lock format owner site clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 18

lab: ## set up if needed and open JupyterLab (LAB_ARGS="--no-browser --port=8899")
	@$(COURSE) lab $(LAB_ARGS)

update: ## bring the newest version; your notebooks, answers and progress are kept
	@$(COURSE) update

test: ## set up if needed and run every test (PARTS="lint unit" for some)
	@$(COURSE) test $(PARTS)

setup: ## only install the course's packages
	@$(COURSE) setup

notebooks: setup-test ## rebuild both notebook trees from solutions/src (CHAPTERS=01_vectors for one)
	$(RUN) tools/build_notebooks.py $(CHAPTERS)

notebooks-check: setup-test ## say which notebooks are stale
	$(RUN) tools/build_notebooks.py --check

format: setup-test ## format the code and mend what lint can
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

lock: setup-test ## compile the requirements from pyproject.toml
	$(RUN) -m uv pip compile pyproject.toml --group test --universal --python-version 3.11 \
		--generate-hashes --no-header --quiet -o requirements-test.txt
	$(RUN) -m uv pip compile pyproject.toml -c requirements-test.txt --universal \
		--python-version 3.11 --generate-hashes --no-header --quiet -o requirements.txt
	$(RUN) -m uv pip compile --group server --universal --python-version 3.11 --generate-hashes \
		--no-header --quiet -o requirements-server.txt
	$(RUN) -m uv pip compile --group lm --no-deps --universal --python-version 3.11 \
		--generate-hashes --no-header --quiet -o requirements-lm.txt

data: setup-test ## build data/images again from its source
	$(RUN) tools/build_data.py

models: setup-author ## export data/models again from the original weights
	$(AUTHOR) tools/export_models.py

bench: setup-author ## measure speed and memory, as ratios
	$(AUTHOR) tools/bench.py

bench-index: setup ## indexes: recall against speed, in Milvus and faiss, some minutes (CONFIG=mine.toml)
	$(RUN) -m workshop.bench $(CONFIG)

bench-web: setup-test ## Flask and FastAPI under load, some minutes (WEB_ARGS="--clients 8 --repeats 1")
	$(RUN) tools/bench_web.py $(WEB_ARGS)

server: setup ## start a Milvus server on loopback, without Docker (SERVER_ARGS="--port=19531")
	@$(RUN) tools/server.py start $(SERVER_ARGS)

server-stop: setup ## end it
	@$(RUN) tools/server.py stop

room: setup ## a board for a room with an instructor, until Ctrl-C (ROOM_ARGS="--host 192.168.1.5")
	@$(RUN) -m app_snippets.room $(ROOM_ARGS)

lm: ## fetch the language model of chapter 20, once (93 MB)
	@$(COURSE) lm

bundle: ## the course and all its packages in a folder that needs no network (BUNDLE_ARGS=--help)
	@$(COURSE) bundle $(BUNDLE_ARGS)

owner: ## say who hosts the course: buttons in the README (NAME=you, or the clone's remote)
	@$(PYTHON) tools/owner.py $(NAME)

site: setup-test ## the course as pages for those who only read, in site/ (SITE_ARGS="--to=FOLDER")
	$(RUN) tools/build_site.py $(SITE_ARGS)

clean: ## remove what was installed and made; a learner's .workshop stays
	rm -rf .venv .venv-author *.egg-info artifacts site .pytest_cache .ruff_cache

setup-test:
	@$(COURSE) setup --test

# torch and the original models: 4 GB that no learner needs. pip and not uv: on some machines the
# build of torch without CUDA is a file that only pip is told of.
setup-author: setup-test
	$(RUN) -m venv .venv-author
	$(AUTHOR) -m pip install --quiet --upgrade pip
	$(AUTHOR) -m pip install --quiet --require-hashes -r requirements-test.txt
	$(AUTHOR) -m pip install --quiet --group author --group compare
	$(AUTHOR) -m pip install --quiet --no-deps --no-build-isolation -e .
