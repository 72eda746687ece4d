# The image of xiaoyi. Two ways to the same result, chosen by --target:
#   docker build -t xiaoyi .                                   builds the program inside (the last stage, `built`)
#   docker build -t xiaoyi --target prebuilt .                 takes target/release/xiaoyi, or --build-arg BINARY=path
# The classic builder builds every stage above the one that is asked for. So `prebuilt` stands before `build` and needs no
# Rust image there; but `built` needs BuildKit (DOCKER_BUILDKIT=1, the default since Docker 23), which skips `prebuilt`.
ARG RUNTIME_IMAGE=debian:bookworm-slim
ARG RUST_IMAGE=rust:1-bookworm

FROM ${RUNTIME_IMAGE} AS runtime
# Providers are called over HTTPS with the system's certificates. An image that has them needs no network here.
RUN test -s /etc/ssl/certs/ca-certificates.crt || { \
        apt-get update \
        && apt-get install -y --no-install-recommends ca-certificates \
        && rm -rf /var/lib/apt/lists/*; }
RUN groupadd --gid 10001 xiaoyi \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/xiaoyi --shell /usr/sbin/nologin xiaoyi \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/xiaoyi
# Inside a container the other side of a connection is never 127.0.0.1.
ENV XIAOYI_API_LISTEN=0.0.0.0:8080 \
    XIAOYI_ADMIN_LISTEN=0.0.0.0:8081 \
    XIAOYI_METRICS_LISTEN=0.0.0.0:8082 \
    XIAOYI_DATA_DIR=/var/lib/xiaoyi \
    XIAOYI_LOG_FORMAT=json
EXPOSE 8080 8081 8082
# Numbers, so that a runtime can see that it is not root without the image's /etc/passwd.
USER 10001:10001
WORKDIR /var/lib/xiaoyi
ENTRYPOINT ["xiaoyi"]
CMD ["serve"]
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=3 \
    CMD ["xiaoyi", "probe", "http://127.0.0.1:8082/readyz"]

FROM runtime AS prebuilt
ARG BINARY=target/release/xiaoyi
COPY --chown=0:0 ${BINARY} /usr/local/bin/xiaoyi

FROM ${RUST_IMAGE} AS build
WORKDIR /source
COPY . .
# Features of the package `server`, if it has any.
ARG FEATURES=""
RUN cargo build --locked --release --package server --features "${FEATURES}" \
    && strip -o /xiaoyi target/release/xiaoyi

FROM runtime AS built
COPY --from=build --chown=0:0 /xiaoyi /usr/local/bin/xiaoyi
