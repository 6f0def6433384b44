# Two stages: a static binary, then nothing but that binary.
#   docker build -t k8s-wait-for:dev .
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
# The workspace's member has to be there for cargo to read the workspace; the cache mounts make that no loss.
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    target="$(uname -m)-unknown-linux-musl" \
    && rustup target add "$target" \
    && cargo build --release --locked -p k8s-wait-for --target "$target" \
    && mkdir /out \
    && cp "target/$target/release/k8s-wait-for" /out/ \
    # The name that groundnuty's image has, for charts that set `command`.
    && ln -s k8s-wait-for /out/wait_for.sh

FROM scratch
COPY --from=build /out/ /
USER 65532:65532
ENTRYPOINT ["/k8s-wait-for"]
