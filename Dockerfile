# The image of the operator: docker build -t ghcr.io/regcred/regcred:v0.1.0 .
#
# glibc on distroless, not musl on scratch: ring compiles C, which the slim Rust image's gcc does as it is, while musl
# needs a toolchain for each architecture and brings a slower allocator. Both stages are Debian 12, so that the binary
# finds the glibc that it was linked with.
# For another architecture: docker buildx build --platform linux/arm64 (nothing here names one).

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# The caches outlive the layer: after a change only what changed is compiled. They aren't in the image, hence the copy.
# Caches are per architecture: two builds in one target folder would overwrite each other's build scripts. cargo goes by
# the files' times: sources from an archive may be older than what the cache was built from, and would pass for built.
ARG TARGETARCH
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,id=regcred-target-$TARGETARCH,sharing=locked \
    touch src/lib.rs src/main.rs && cargo build --release --locked --bin regcred && cp target/release/regcred /regcred

# No shell and no package manager; libc, libgcc and CA certificates only.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="regcred" \
      org.opencontainers.image.description="A Kubernetes operator that manages registry pull secrets" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /regcred /regcred
COPY LICENSE /LICENSE
# By number: the kubelet can't check runAsNonRoot against a name.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/regcred"]
