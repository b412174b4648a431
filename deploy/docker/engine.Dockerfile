# syntax=docker/dockerfile:1
# The embedded engine: one process, one store. Build it from the root of the repository, after `make wheel`:
#
#     docker build -f deploy/docker/engine.Dockerfile -t eddyline-engine:0.1.0 .
#
# It installs the wheel that was tested, held to the versions of the Flink worker's lock, so that a model learned here and
# one learned on Flink are made by the same River and numpy.
FROM python:3.11.14-slim-bookworm

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1

RUN groupadd --system --gid 10001 eddyline \
 && useradd --system --uid 10001 --gid eddyline --home-dir /var/lib/eddyline --create-home eddyline

RUN --mount=type=bind,source=dist,target=/tmp/dist \
    --mount=type=bind,source=src/eddyline/engines/flink/locks/py311.txt,target=/tmp/lock.txt \
    wheel="$(find /tmp/dist -name 'eddyline-*.whl' | sort | tail -n 1)" \
 && test -n "$wheel" || { echo "there is no wheel in dist/; make it first: make wheel" >&2; exit 1; } \
 && pip install --no-cache-dir --constraint /tmp/lock.txt "${wheel}[kafka]" \
 && eddyline --version

COPY deploy/docker/alive.py /opt/eddyline/alive.py

# Numeric, so that Kubernetes can see that it is not root.
USER 10001:10001
WORKDIR /var/lib/eddyline
VOLUME /var/lib/eddyline

# A store may replay for a while before it answers: that is the start period, not sickness.
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "/opt/eddyline/alive.py", "/var/lib/eddyline/pipeline.eddyline"]

# SIGTERM commits, checkpoints and exits with 0.
STOPSIGNAL SIGTERM
ENTRYPOINT ["eddyline"]
CMD ["run", "/app/pipeline.py", "--store", "/var/lib/eddyline/pipeline.eddyline"]
