# syntax=docker/dockerfile:1
# Flink 2.3 with Eddyline in it: JobManager and TaskManager are this one image. Build it from the root of the repository,
# after `make wheel`:
#
#     docker build -f deploy/docker/flink.Dockerfile -t eddyline-flink:0.1.0 .
#
# Python 3.11 comes from the official Python image, the worker's packages from our lock, the Kafka connector by the
# coordinates and checksums of `eddyline/cluster/jars.toml`, our jar from the wheel.
FROM python:3.11.14-slim-bookworm AS python

FROM python AS parts
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 EDDYLINE_CACHE=/opt/cache

# Maven fetches jars, javac compiles ours where the wheel has none for this Flink; a C compiler is for what has no wheel on
# this platform. None of it leaves this stage.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends build-essential maven openjdk-17-jdk-headless \
 && rm -rf /var/lib/apt/lists/*
RUN ln -s "$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")")" /opt/jdk
ENV JAVA_HOME=/opt/jdk

RUN --mount=type=bind,source=dist,target=/tmp/dist \
    --mount=type=bind,source=src/eddyline/engines/flink/locks/py311.txt,target=/tmp/lock.txt \
    wheel="$(find /tmp/dist -name 'eddyline-*.whl' | sort | tail -n 1)" \
 && test -n "$wheel" || { echo "there is no wheel in dist/; make it first: make wheel" >&2; exit 1; } \
 && pip install --no-cache-dir --constraint /tmp/lock.txt "$wheel"

# The worker's environment: every package at its locked version and nothing resolved, and the Eddyline of the wheel.
RUN eddyline flink env --folder /opt/eddyline/env

# The jars for Flink's lib: the Kafka connector, each file checked against its SHA-256, and ours, under one name.
RUN mkdir /opt/jars && python -c "import shutil; \
from eddyline.cluster.jars import ready; \
from eddyline.engines.flink.jar import jar; \
connector = ready('flink-kafka'); \
[shutil.copy(file, '/opt/jars') for file in connector]; \
shutil.copy(jar('/opt/eddyline/env/bin/python', connector), '/opt/jars/eddyline.jar')"

FROM flink:2.3.0-java17

USER 0:0
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# What the Python image's interpreter links to beside libc. Debian's and Ubuntu's versions of these move with security fixes.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends \
    libbz2-1.0 libexpat1 libffi8 liblzma5 libncursesw6 libreadline8 libsqlite3-0 libssl3 libuuid1 zlib1g \
 && rm -rf /var/lib/apt/lists/*
COPY --from=python /usr/local/bin/ /usr/local/bin/
COPY --from=python /usr/local/lib/ /usr/local/lib/
COPY --from=parts /opt/eddyline/env /opt/eddyline/env
# flink-python has to be in lib, not in the job: the second job of a TaskManager would load it once more and fail.
COPY --from=parts /opt/jars/ /opt/flink/lib/
RUN ldconfig \
 && cp /opt/flink/opt/flink-python-*.jar /opt/flink/lib/ \
 && /opt/eddyline/env/bin/python -c "import ctypes, lzma, sqlite3, ssl, pemja, pyflink, river; import eddyline" \
 && mkdir -p /app /flink-state \
 && chown -R flink:flink /flink-state /opt/flink/lib

# Thread mode looks for pemja on PATH, so the environment comes first.
ENV PATH=/opt/eddyline/env/bin:$PATH

# The official image's `flink`, by number: Kubernetes can see that it is not root.
USER 9999:9999

# A JobManager answers on its REST port when it can take a job; a TaskManager has its RPC port open when it is registered.
# Compose overrides this per role; Kubernetes has its own probes, set by the operator.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
    CMD ["/bin/bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8081 || exec 3<>/dev/tcp/127.0.0.1/6122"]
