PYTHON ?= python3
INSTALL := .venv/bin/python -m pip install --disable-pip-version-check --constraint constraints.txt
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

.PHONY: pong test benchmark docs notebooks

pong: .venv/installed
	.venv/bin/python examples/pong_brian.py $(ARGS)

test: .venv/installed-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy -p mstpn
	.venv/bin/mypy examples tests docs/conf.py docs/execute_notebooks.py
	.venv/bin/pytest --nbmake --numprocesses auto --dist loadfile --no-loadscope-reorder $(ARGS)

benchmark: .venv/installed-dev
	.venv/bin/python tests/benchmarks/brian_step.py $(ARGS)

docs: .venv/installed-dev
	.venv/bin/python -m sphinx -W --keep-going -b html docs docs/_build/html

notebooks: .venv/installed-dev
	.venv/bin/python docs/execute_notebooks.py $(ARGS)

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mstpn needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(INSTALL) --no-deps --retries 0 $(addprefix --extra-index-url ,$(TORCH_INDEX)) torch
	$(INSTALL) --editable .
	touch $@

.venv/installed-dev: .venv/installed
	$(INSTALL) --editable '.[analysis,train,sweep,notebooks,docs,dev]'
	touch $@
