# What a person does with regcred's source. Needs Rust, Go, make and a C compiler, and Python 3 for the docs' site and for
# releases; `make` alone lists the targets.

CARGO ?= cargo
CRD = crds/registrycredentials.regcred.dev.yaml

.PHONY: help docs reference demo test test-scoped test-one-of-each matrix chaos fuzz fuzz-corpus e2e bench bench-plot promises lint crd chart alerts workflows install-manifest binaries release test-release deny build controlplane tools clean clean-controlplane

help:
	@echo 'make demo           show regcred at work on a real Kubernetes API server, on loopback only'
	@echo 'make demo KEEP=1    the same, left running for you until Ctrl-C'
	@echo 'make test           all tests but those on a real node'
	@echo 'make test KUBERNETES=1.33   the behaviours on another version of Kubernetes'
	@echo 'make matrix         one of each behaviour on every version of Kubernetes (an hour the first time)'
	@echo 'make test-scoped    the behaviours again, with rights on named Secrets only (config/overlays/scoped)'
	@echo 'make chaos          random faults, and kill -9 at bad moments, on a real control plane (half an hour)'
	@echo 'make chaos SEED=17 SCHEDULES=1 KILLS=0   the random faults of one seed'
	@echo 'make fuzz SECONDS=60   fuzz each parser and the plan for so long (needs cargo-fuzz and a C++ compiler)'
	@echo 'make fuzz QUIET=600    each until it has found no new coverage for so long'
	@echo 'make fuzz-corpus    build the fuzz targets, and run what they start from (needs a C++ compiler)'
	@echo 'make e2e            prove on a real node that pods pull (as root; two to three minutes)'
	@echo 'make e2e CASE=rotation   the cases whose names have that in them'
	@echo 'make bench          measure regcred against a bare client, in 1,000 namespaces (some minutes)'
	@echo 'make bench N=10000 ACCOUNTS=2   the same in 10,000, with two service accounts in each'
	@echo 'make bench QUICK=1  the same, roughly, in two minutes'
	@echo 'make bench-plot     draw bench/results/*.json'
	@echo 'make promises       time every event that regcred follows, in 200 namespaces'
	@echo 'make lint           formatting, and clippy with warnings denied'
	@echo 'make crd            write $(CRD) from the Rust types'
	@echo 'make chart          copy into charts/regcred what it has of config and crds, and write its README'
	@echo 'make reference      write docs/reference from the CRD and the program'
	@echo 'make docs           make a site of docs/ in target/site, and check its links (needs Python 3 with venv)'
	@echo 'make alerts         test the alerts of config/monitoring (needs promtool)'
	@echo 'make workflows      check .github/workflows with actionlint'
	@echo 'make install-manifest   write dist/install.yaml, all of regcred in one file'
	@echo 'make binaries       static binaries for x86_64 and aarch64, in target/binaries (a quarter of an hour)'
	@echo 'make release        these as archives and as one image, the chart, the manifests, SBOM and checksums, in dist/'
	@echo 'make test-release   make a release, push, sign and verify it, on loopback (needs buildah, skopeo and docker-registry)'
	@echo 'make deny           licenses, versions and sources of the dependencies'
	@echo 'make build          the operator, for trying out: cargo build --release makes the one to ship'
	@echo 'make controlplane   build etcd, kube-apiserver, kube-controller-manager and kubectl (minutes, once)'
	@echo 'make tools          build the tools of others that tests run (minutes, once)'
	@echo 'make clean          remove what cargo has built'
	@echo 'make clean-controlplane   remove the control planes and tools that were built (Go keeps its own cache: go clean -cache)'

# With the path of another operator in REGCRED: that one is shown.
demo: build controlplane
	@$(CARGO) run --quiet --locked --package controlplane --bin demo -- $(if $(filter-out 0,$(KEEP)),--keep) $(REGCRED)

# A behaviour waits more than it works: for a Lease that runs out, for a pause before a retry.
TEST_THREADS ?= 4
export RUST_TEST_THREADS = $(TEST_THREADS)

# Another version of Kubernetes than the one that everything is tested on: a folder of tests/controlplane/versions.
KUBERNETES ?=
export KUBERNETES
# What that version doesn't serve.
UNSERVED = $(if $(filter 1.31 1.32 1.33,$(KUBERNETES)),at_creation)
ON_VERSION = $(CARGO) test --package regcred --locked --test behaviour -- $(UNSERVED:%=--skip %)

test: controlplane tools
	$(if $(KUBERNETES),$(ON_VERSION),$(CARGO) test --workspace --locked)

# The first test of each behaviour, and failover. With SCOPED=1, those that the rights by name change, with these.
SCOPED ?=
test-one-of-each: controlplane tools
	@$(ON_VERSION) $(if $(SCOPED),$(SAME_EITHER_WAY:%=--skip %)) --list --format terse | sed -n 's/: test$$//p' | \
	  awk -F:: '!($$1 in seen) || /within_fifteen_seconds_of_a_kill/ { seen[$$1] = 1; print }' > target/one-of-each
	$(if $(SCOPED),REGCRED_TEST_SCOPED=1) $(ON_VERSION) --exact $$(cat target/one-of-each)

VERSIONS = 1.31 1.32 1.33 1.34 1.35 1.36 1.37

matrix:
	@for version in $(VERSIONS); do \
	  echo "=== Kubernetes $$version"; \
	  $(MAKE) --no-print-directory test-one-of-each KUBERNETES=$$version && \
	  $(MAKE) --no-print-directory test-one-of-each KUBERNETES=$$version SCOPED=1 || failed="$$failed $$version"; \
	done; [ -z "$$failed" ] || { echo "failed on$$failed"; exit 1; }

# Without those in which it would change nothing: no operator runs, or always with rights on named Secrets only.
SAME_EITHER_WAY = crd:: health:: helm::without_an_operator at_creation_rules:: audit:: check:: explain:: pull_policy:: samples:: scoped:: chart:: plan::it_lists plan::rights plan::what_cannot plan::before_the fence::the_operators_token fence::nobody_else relocate::

test-scoped: controlplane tools
	REGCRED_TEST_SCOPED=1 $(ON_VERSION) $(SAME_EITHER_WAY:%=--skip %)

SEED ?= 1
SCHEDULES ?= 200
KILLS ?= 100

chaos: controlplane
	SEED=$(SEED) SCHEDULES=$(SCHEDULES) KILLS=$(KILLS) $(CARGO) test --locked --test chaos

# cargo-fuzz needs what only a nightly compiler, or this variable, allows. There is no unsafe code here to sanitize.
SECONDS ?= 60
FUZZ ?= credential docker_config image key plan registry targets

fuzz:
	@for target in $(FUZZ); do \
	  if [ -n "$(QUIET)" ]; then CARGO="$(CARGO)" fuzz/until_quiet.sh $$target $(QUIET) || exit 1; continue; fi; \
	  mkdir -p fuzz/grown/$$target; \
	  RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run --sanitizer none $$target fuzz/grown/$$target fuzz/corpus/$$target tests/fixtures -- \
	    -max_total_time=$(SECONDS) -print_final_stats=1 || exit 1; \
	done

# Without cargo-fuzz, and on whatever the compiler is.
fuzz-corpus:
	$(CARGO) build --manifest-path fuzz/Cargo.toml --locked --target-dir target
	@for target in $(FUZZ); do \
	  echo "$$target"; target/debug/$$target -runs=0 fuzz/corpus/$$target tests/fixtures 2>fuzz/failed.log || \
	    { cat fuzz/failed.log; exit 1; }; \
	  rm fuzz/failed.log; \
	done

e2e:
	@CARGO="$(CARGO)" tests/e2e/run.sh $(CASE)

N ?= $(if $(filter-out 0,$(QUICK)),300,1000)
ACCOUNTS ?= 1
FOREIGN ?= 0
ROUNDS ?= $(if $(filter-out 0,$(QUICK)),1,3)
OUT ?= bench/results/$(N)x$(ACCOUNTS)$(if $(filter-out 0,$(FOREIGN)),-foreign).json
BENCH = target/release/bench

bench: controlplane
	$(CARGO) build --release --locked --package regcred --package bench --target-dir target
	@mkdir -p bench/results
	$(BENCH) run --operator target/release/regcred --namespaces $(N) --service-accounts $(ACCOUNTS) --foreign $(FOREIGN) \
	  --rounds $(ROUNDS) --out $(OUT) $(if $(filter-out 0,$(QUICK)),--credentials 1 --idle 10 --samples 30) $(BENCHFLAGS)

promises: controlplane
	$(CARGO) build --release --locked --package regcred --package bench --target-dir target
	$(BENCH) promises --operator target/release/regcred

bench-plot:
	$(BENCH) plot --out docs/benchmarks.svg $(wildcard bench/results/*x1.json)

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) clippy --test e2e --test chaos --locked -- -D warnings

crd:
	$(CARGO) run --quiet --locked -- crd > $(CRD).new
	mv $(CRD).new $(CRD)

# What the chart has of config it puts its names into (charts/regcred/templates/_config.tpl), so nothing is written twice.
# Copies and no links: Helm warns of each link, and archives of the repository may lose them.
CHART = charts/regcred
CHART_FILES = $(CRD) $(wildcard config/rbac/*_role.yaml) config/rbac/user_roles.yaml config/rbac/service_account.yaml \
  config/namespace/state/namespace.yaml $(filter-out %/kustomization.yaml,$(wildcard config/manager/*.yaml)) \
  config/policy/fence.yaml config/policy/protect_crd.yaml config/policy/at-creation/attach_at_creation.yaml \
  $(wildcard config/overlays/stuck-pods/*/*_role.yaml) \
  $(addprefix config/monitoring/,dashboard.json pod-monitor/pod_monitor.yaml rules.yaml service_monitor.yaml)

chart:
	rm -rf $(CHART)/files
	@for file in $(CHART_FILES); do \
	  mkdir -p $(CHART)/files/$$(dirname $$file) && cp $$file $(CHART)/files/$$file || exit 1; \
	done
	UPDATE_EXPECTED=1 $(CARGO) test --quiet --locked --test chart readme

reference:
	UPDATE_EXPECTED=1 $(CARGO) test --quiet --locked --test docs -- reference

SITE_TOOLS = target/site-tools

docs: $(SITE_TOOLS)/.done
	@NO_MKDOCS_2_WARNING=1 $(SITE_TOOLS)/bin/mkdocs build

$(SITE_TOOLS)/.done: docs/.site/requirements.txt
	@python3 -m venv --clear $(SITE_TOOLS)
	@$(SITE_TOOLS)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

alerts:
	@tests/monitoring/run.sh

workflows:
	@$$(tests/tools/build.sh actionlint) .github/workflows/*.yaml

DIST ?= dist

# By a pinned kustomize, so that the same commit gives the same file.
install-manifest:
	@mkdir -p $(DIST)
	@$$(tests/tools/build.sh kustomize-5.8) build config/install > $(DIST)/install.yaml

binaries:
	CARGO="$(CARGO)" release/binaries.sh

# Needs cargo-cyclonedx, for the list of what is in the binaries.
release: binaries
	CARGO="$(CARGO)" SBOM=1 release/files.sh

test-release:
	@tests/release/run.sh

# Built once, and only as well as it takes: the whole check is done in a second.
DENY_VERSION = 0.20.2
DENY = target/cargo-tools/$(DENY_VERSION)/bin/cargo-deny

deny: $(DENY)
	@$(DENY) --locked check bans licenses sources

$(DENY): export CARGO_PROFILE_RELEASE_OPT_LEVEL = 1
$(DENY): export CARGO_PROFILE_RELEASE_LTO = off
$(DENY): export CARGO_PROFILE_RELEASE_CODEGEN_UNITS = 16
$(DENY):
	$(CARGO) install --quiet --locked --no-default-features --root target/cargo-tools/$(DENY_VERSION) cargo-deny@$(DENY_VERSION)

build:
	$(CARGO) build --locked

# In the groups that the tests ask for: each is looked for in $KUBEBUILDER_ASSETS as a whole.
controlplane:
	@tests/controlplane/build.sh etcd kube-apiserver kubectl > /dev/null
	@tests/controlplane/build.sh kube-controller-manager > /dev/null
	@tests/controlplane/build.sh throwaway-key > /dev/null

# Of others, which tests run.
tools:
	@tests/tools/build.sh health helm helm-3 kustomize-4.5 kustomize-5.8 gitops-crds > /dev/null

clean:
	$(CARGO) clean

clean-controlplane:
	rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/regcred/controlplane" "$${XDG_CACHE_HOME:-$$HOME/.cache}/regcred/tools"
