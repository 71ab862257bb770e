# make demo   show the whole way with no hardware        make setup   build .venv with .venv/bin/edge-pose
# make test   every test that needs no root               make check   format, lint, types, imports
# make workstation   build .venv-workstation with TensorFlow, for tools.convert and tools.evaluate
# make training      add PyTorch to it, for tools/train            make train   train the starter model
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
WORKSTATION ?= .venv-workstation
LOCK ?= tools/locks/default.txt
BIN := $(VENV)/bin

# Models and pictures that are not in the repository, when they lie beside it.
SHARED := $(wildcard ../shared)
ifneq ($(SHARED),)
export EDGE_POSE_MODEL_MIRROR ?= $(abspath $(SHARED)/models)
export EDGE_POSE_TEST_DATA ?= $(abspath $(SHARED))
endif

define CHECK_PYTHON
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "edge-pose needs Python 3.11 or later: $$($(PYTHON) --version) is what '$(PYTHON)' is" >&2; exit 1; }; \
$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	{ echo "this Python cannot make virtual environments: sudo apt install python3-venv" >&2; exit 1; }
endef

.PHONY: demo setup test cases system-test workstation workstation-test training training-test train check format bench scene-score fuzz soak model-card picture window-picture locks schemas wheel-models clean

setup: $(VENV)/.installed

# A stamp with the lock's name: another lock means another installation.
$(VENV)/.installed: pyproject.toml $(LOCK)
	@$(CHECK_PYTHON)
	@echo "installing into $(VENV), about a minute ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check -c $(LOCK) -e '.[dev]'
	@touch $@

# Converting models needs TensorFlow, 2 GB of it: apart from what goes onto a device.
workstation: $(WORKSTATION)/.installed

$(WORKSTATION)/.installed: pyproject.toml tools/locks/workstation.txt
	@$(CHECK_PYTHON)
	@echo "installing into $(WORKSTATION), a few minutes ..."
	@$(PYTHON) -m venv $(WORKSTATION)
	@$(WORKSTATION)/bin/pip install --quiet --disable-pip-version-check -c tools/locks/workstation.txt -e '.[workstation]'
	@touch $@

# Training needs PyTorch besides: on x86-64 with CUDA's libraries, 5 GB. Installs both where there is neither.
training: $(WORKSTATION)/.training

$(WORKSTATION)/.training: pyproject.toml tools/locks/workstation.txt
	@$(CHECK_PYTHON)
	@echo "installing into $(WORKSTATION), with PyTorch, several minutes ..."
	@$(PYTHON) -m venv $(WORKSTATION)
	@$(WORKSTATION)/bin/pip install --quiet --disable-pip-version-check -c tools/locks/workstation.txt \
		-e '.[workstation,train]'
	@touch $(WORKSTATION)/.installed $@

demo: setup
	@$(BIN)/edge-pose demo --picture demo.png $(if $(DEMO_SECONDS),--seconds $(DEMO_SECONDS)) $(if $(MODEL),--model $(MODEL))

# One process for each core; PYTEST_FLAGS="-n 0" for one alone.
test: setup
	$(BIN)/python -m pytest --ignore tests/system --ignore tests/workstation --ignore tests/training \
		-n auto --dist worksteal $(PYTEST_FLAGS)

# Inputs and models on which the program once failed, where EDGE_POSE_TEST_DATA has them.
cases: setup
	$(BIN)/python -m pytest tests/test_cases.py $(PYTEST_FLAGS)

# Environments of their own: other TFLite runtimes from the package index.
system-test: setup
	$(BIN)/python -m pytest tests/system $(PYTEST_FLAGS)

# What needs TensorFlow: models are converted, checked and run.
workstation-test: workstation
	$(WORKSTATION)/bin/python -m pytest tests/workstation -n auto --dist loadfile $(PYTEST_FLAGS)

# What needs PyTorch: a network learns for some steps, is killed, goes on, and becomes a model.
training-test: training
	$(WORKSTATION)/bin/python -m pytest tests/training -n auto --dist loadfile $(PYTEST_FLAGS)

# The starter model, from the photographs in TRAIN_DATA, or from the scene alone where there are none.
# Started again it goes on where it was; STEPS, TRAINING (the folder), BEGIN (a model of ours whose weights it begins
# with) and TRAIN_FLAGS may be given.
TRAIN_DATA ?= $(and $(EDGE_POSE_TEST_DATA),$(wildcard $(EDGE_POSE_TEST_DATA)/data/train))
TRAINING ?= training
STEPS ?= 22000
PHOTOGRAPHS = --annotated $(TRAIN_DATA)/coco/labels.json $(TRAIN_DATA)/coco 0.26 \
	--annotated $(TRAIN_DATA)/coco_derived/labels.json $(TRAIN_DATA)/coco_derived 0.08 \
	--labelled $(TRAIN_DATA)/unlabelled/thunder_labels.json $(TRAIN_DATA)/unlabelled/images 0.56 \
	--calibration $(TRAIN_DATA)/unlabelled/images
train: training
	$(WORKSTATION)/bin/python -m tools.train --scene 0.10 $(if $(TRAIN_DATA),$(PHOTOGRAPHS)) \
		$(if $(BEGIN),--begin-with $(BEGIN)) --size 256x448 --steps $(STEPS) --output $(TRAINING) $(TRAIN_FLAGS)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup
	@$(BIN)/edge-pose bench

# How many of the synthetic people the default model finds; fails below 90 % and 75 %.
scene-score: setup
	$(BIN)/python -m tools.evaluate.scene_score --frames 120 --size 256x448 --size 160x256 --min-found 90 --min-found 75

# Damaged inputs for whatever reads those of strangers, SECONDS of each kind.
SECONDS_EACH ?= 60
fuzz: setup
	$(BIN)/python -m tools.fuzz --seconds $(SECONDS_EACH)

# Half an hour without broker, camera and engine again and again. Needs mosquitto and a C compiler.
soak: setup
	$(BIN)/python -m tools.soak $(SOAK_FLAGS)

# All figures of the starter model, into its card; FLOAT names its float sibling. A minute on an idle machine.
IMAGES ?= $(EDGE_POSE_TEST_DATA)/data/coco_dev/images
ANNOTATIONS ?= $(EDGE_POSE_TEST_DATA)/data/coco_dev/person_keypoints.json
model-card: setup
	$(BIN)/python -m tools.evaluate.card models/starter.tflite --images $(IMAGES) --annotations $(ANNOTATIONS) \
		$(if $(FLOAT),--float $(FLOAT)) --write

# The README's picture: one frame of the scene, as the model sees it.
picture: setup
	$(BIN)/python -m tools.repository.picture tools/pictures/scene.jpg

# The README's picture of the window, on an X server without a screen; needs xvfb and imagemagick.
window-picture: setup
	$(BIN)/python -m tools.repository.window_picture tools/pictures/window.jpg

schemas: setup
	$(BIN)/python -m edge.payload

locks: setup
	$(BIN)/python -m tools.repository.lock

# A second wheel, dist/edge_pose_models-*.whl, with the default model's file: see models/README.md.
MODELS_PACKAGE = models/wheel/edge_pose_models
wheel-models: setup
	@$(BIN)/edge-pose models export build/models
	@find $(MODELS_PACKAGE) -type f ! -name __init__.py -delete && cp build/models/* $(MODELS_PACKAGE)/
	@$(BIN)/python -m build --wheel --outdir dist models/wheel

clean:
	rm -rf $(VENV) .venv-* build dist demo.png
