# make perf   measure a few real models here; the first time record a baseline, afterwards judge against it
# make gpu    what a GPU shows of this project, in eight minutes: docs/validation/README.md
# make test   lint, types and every test this machine can run
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
# Python keeps what it compiled, whatever is set outside: every story imports the plugin anew, in half the time so.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: perf gpu test lint types unit triton browser pytest8 docs clean

$(INSTALLED): pyproject.toml constraints.txt
	test -f $@ || rm -rf .venv  # what a stopped installation left cannot be built upon
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[suite,onnx,serving,text,test]"
	touch $@

perf: $(INSTALLED)
	@mkdir -p .gpuperf; \
	device=$$($(BIN)/python -c 'import torch; print("cuda" if torch.cuda.is_available() else "cpu")'); \
	if [[ $$device = cpu && "$${CUDA_VISIBLE_DEVICES-all}" != @(|-1) && $$(nvidia-smi -L 2> /dev/null) = "GPU "* ]]; then \
	  $(BIN)/gpuperf doctor --device cuda || true; \
	  echo "Stopped: there is an NVIDIA card, and torch cannot use it (see above)."; \
	  echo "To measure on the CPU all the same: CUDA_VISIBLE_DEVICES= make perf"; \
	  exit 1; \
	fi; \
	baseline=.gpuperf/baseline-$$device.json; report=.gpuperf/report.txt; \
	suite="-m quick tests/perf --gpuperf-device $$device --gpuperf-budget 2"; \
	if [ $$device = cpu ]; then \
	  echo "No CUDA device: measuring on the CPU (--gpuperf-device cpu), where neighbours cost percents: 5% is tolerated."; \
	  suite="$$suite --gpuperf-tolerance throughput=5%"; \
	fi; \
	if [ -f $$baseline ]; then \
	  $(BIN)/python -m pytest $$suite --gpuperf-compare $$baseline --gpuperf-save .gpuperf/run.json \
	    --gpuperf-html .gpuperf/page | tee $$report; \
	else \
	  echo "No baseline of this machine yet: recording one in five fresh processes."; \
	  $(BIN)/gpuperf calibrate --sessions 5 --into $$baseline -- $$suite; \
	  $(BIN)/gpuperf show $$baseline | tee $$report; \
	  echo "Baseline: $$baseline. Run make perf again to judge against it."; \
	fi; \
	echo "Report: $$report"

# On a bare machine: with its own Python and torch, and wheels of what it lacks.
DEVICE ?= cuda
gpu:
	$(PYTHON) benchmarks/gpu/run.py --into "$${OUT:-.gpuperf}/gpu" --device $(DEVICE) \
	  $(if $(WHEELS),--wheels $(WHEELS)) $(if $(ONLY),--only $(ONLY))

test: lint types unit pytest8 docs

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(INSTALLED)
	$(BIN)/pyright --pythonpath $(BIN)/python

# Two tests at a time. Many of them measure, and one may disturb the other: what failed in company is told again, alone.
TESTS := $(BIN)/coverage run -m pytest

unit: $(INSTALLED) triton browser
	rm -f .coverage .coverage.*
	$(TESTS) -n 2 --dist loadfile tests || $(TESTS) --last-failed --last-failed-no-failures none tests
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
	$(BIN)/coverage report --fail-under 100 --include '*/records/*,*/gate/*,*/comparison/*,*/causes/*,*/reports/*,*/cli/*'

# The server of the serving tests, for this user. Debian's own Python comes without the library that it needs.
triton: $(INSTALLED)
	@$(BIN)/gpuperf triton install || { \
	  library=libpython$$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	  [ "$$(id -u)" = 0 ] && apt-get -qq update && apt-get -qq install -y $$library && $(BIN)/gpuperf triton install; \
	} || echo "No Triton server here: its tests skip, or fail where GPUPERF_REQUIRE_TRITON is set."

# The browser that the HTML report is tried in: Debian's, where it is missing and may be installed.
browser:
	@command -v chromium chromium-browser google-chrome > /dev/null || { \
	  [ "$$(id -u)" = 0 ] && apt-get -qq update \
	  && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium fonts-dejavu-core > /dev/null; \
	} || echo "No Chromium here: its tests skip, or fail where GPUPERF_REQUIRE_BROWSER is set."

# The same plugin under pytest 8: installed beside, and found first.
.venv/pytest8: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --target $@ "pytest>=8.4,<9"
	touch $@

pytest8: .venv/pytest8
	PYTHONPATH=$$PWD/.venv/pytest8 $(BIN)/python -m pytest \
	  $(foreach story,measuring withheld option_compare option_confirm reports_for_ci,tests/plugin/test_$(story).py)

docs: $(INSTALLED)
	$(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf .venv .gpuperf site .coverage .coverage.*
