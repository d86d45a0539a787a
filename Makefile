# Everything a newcomer needs; `make` alone explains.
.DEFAULT_GOAL := help
SHELL := /bin/bash
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tailwart
UV_VERSION := 0.13.8
UV := $(CACHE)/uv-$(UV_VERSION)/bin/uv
# How often a failed test is tried again; `make test` sets it and names every such test at its end.
RERUNS :=
RUN := $(UV) run --frozen --no-sync
LAB := $(RUN) tailwart lab
# The directory of go and gofmt: the machine's own, or those that the lab fetches.
GO_DIRECTORY := $(RUN) python -c 'from lab.programs import toolchains; print(toolchains.go().rpartition("/")[0])'
# A Python that uv would download itself is not wanted: the machine's own is enough.
export UV_PYTHON_DOWNLOADS := never
# The certificates that the machine trusts, where its owner may have added one.
export UV_SYSTEM_CERTS := true

.PHONY: help setup packages programs demo recording lab deploy verify test test-fast test-lab test-long lint format chaos chaos-backup bench down

help: ## Explain the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(UV):
	@lab/bootstrap $(UV_VERSION) $(CACHE)/uv-$(UV_VERSION)

# Compiled here, because pyinfra switches the writing of bytecode off: each of its runs would compile again, which takes
# longer than the rest of a deploy that changes nothing.
setup: $(UV) ## Install the locked dependencies into .venv
	@$(UV) sync --frozen --quiet --all-extras --compile-bytecode
	@$(RUN) python -m compileall -q tailwart tasks lab group_data

# What the fast tests run for real: name servers, a database, a shell, the packet filter, systemd's own checks, a browser,
# Prometheus.
packages:
	@lab/packages knotd:knot pg_lsclusters:postgresql dash:dash ip:iproute2 iptables:iptables jq:jq nft:nftables unshare:util-linux \
		systemd-analyze:systemd pdns_server:pdns-server pdns_server:pdns-backend-sqlite3 named:bind9 \
		chromium:chromium promtool:prometheus nginx:nginx apachectl:apache2 redis-server:redis-server nc:netcat-openbsd

# Before the tests that use them, so that no test's time is a compiler's.
programs: setup
	@$(RUN) python -m lab.programs caddy headscale pebble stalwart

lab: setup ## Build what is missing and start the lab
	@$(LAB) up

demo: lab ## The whole system on this machine: deploy, a mail in, a mail out, verification
	@$(RUN) python -m lab.demo

recording: lab ## make demo as a recording for asciinema: docs/demo.cast
	@$(RUN) python -m lab.recording docs/demo.cast python -m lab.demo

deploy: setup ## Deploy the installation of .env (TAILWART_ENV selects another)
	@$(RUN) pyinfra inventory.py deploy.py

verify: setup ## Verify the installation of .env (TAILWART_ENV selects another)
	@$(RUN) pytest tests/verify

test: ## Linters and all tests, side by side; prints the time of each layer
	@tests/run

# Two workers to a processor: these tests wait for servers half of the time.
test-fast: setup packages programs ## Tests that need no lab
	@$(RUN) pytest -n $$(($$(nproc) * 2)) --dist worksteal $(RERUNS) tests/unit tests/contract tests/templates tests/plans

test-lab: setup ## Tests on the lab (starts it)
	@$(RUN) pytest $(RERUNS) tests/lab

test-long: setup ## The long tests on the lab: restore, host replacement, reboots, removal, store move (not part of make test)
	@LAB_LONG=1 $(RUN) pytest -m long tests/lab

# go vet with the flags that the stand-in is built with: what is compiled for the one serves the other.
lint: setup ## ruff, mypy, the layers of the architecture, gofmt and go vet
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) mypy
	@$(RUN) lint-imports --no-logo --no-cache
	@export PATH="$$($(GO_DIRECTORY)):$$PATH"; \
		cd lab/standin && test -z "$$(gofmt -l .)" && CGO_ENABLED=0 GOFLAGS="-trimpath -gcflags=all=-l" go vet ./...

format: setup ## Format the code
	@$(RUN) ruff format .
	@export PATH="$$($(GO_DIRECTORY)):$$PATH"; cd lab/standin && gofmt -w .

chaos: lab ## Kill deploys at random moments and see the next run heal them (KILLS=40; not part of make test)
	@$(RUN) python -m lab.chaos

chaos-backup: lab ## Kill backups at random moments and see that a set is whole or not listed (KILLS=50)
	@$(RUN) python -m lab.backup_chaos

bench: lab ## Print figures: lab, deploy, no-op deploy, memory, round trips
	@$(RUN) python -m lab.bench

down: setup ## Remove every container, network, volume and process of the lab
	@$(LAB) down
