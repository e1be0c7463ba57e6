# The image of the operator: docker build -t ghcr.io/regcred/regcred:v0.1.0 .
#
# A static program on nothing at all: Alpine's Rust links musl statically. With musl's own allocator a roll-out, the memory
# and a restart are what they are with glibc (docs/benchmarks.md), and there is no base image to keep up to date.
# For another architecture: docker buildx build --platform linux/arm64 (nothing here names one). A release puts binaries that
# were cross-compiled in the place of the first stage (release/files.sh).

FROM rust:1.95-alpine AS build
WORKDIR /src
COPY . .
# The caches outlive the layer: after a change only what changed is compiled. They aren't in the image, hence the copy.
# Caches are per architecture: two builds in one target folder would overwrite each other's build scripts. cargo goes by
# the files' times: sources from an archive may be older than what the cache was built from, and would pass for built.
ARG TARGETARCH
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,id=regcred-target-$TARGETARCH,sharing=locked \
    touch src/lib.rs src/main.rs && cargo install --locked --path . --root /built && \
    mkdir -p /image/etc/ssl/certs && cp /built/bin/regcred LICENSE /image/ && \
    cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/

# No shell, no libraries, no package manager.
FROM scratch
LABEL org.opencontainers.image.title="regcred" \
      org.opencontainers.image.description="A Kubernetes operator that manages registry pull secrets" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image/ /
# By number: the kubelet can't check runAsNonRoot against a name.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/regcred"]
