# One image for the three programs: `producer snapshot`, `consumer run`, `validator reconcile`.
FROM python:3.11-slim AS build
COPY requirements.lock /tmp/
RUN python -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r /tmp/requirements.lock \
 && /venv/bin/pip uninstall -y pip

FROM python:3.11-slim
LABEL org.opencontainers.image.title="tenant-replicator" \
      org.opencontainers.image.description="Moves one tenant's PostgreSQL tables through a replayable, sealed log, and proves it" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --create-home app && install -d -o app -g app /keys
COPY --from=build /venv /venv
WORKDIR /app
COPY rawdog.toml LICENSE ./
COPY schemas schemas
COPY runtime runtime
COPY producer producer
COPY consumer consumer
COPY validator validator
COPY embedded embedded
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HEARTBEAT_FILE=/tmp/heartbeat
USER app
# a long-running consumer beats once a poll; one-shot programs end before anybody asks
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-m", "runtime.health"]
# python is process 1 and handles SIGTERM itself; `docker run IMAGE producer plan`
ENTRYPOINT ["python", "-m"]
CMD ["consumer", "run"]
