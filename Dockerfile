# syntax=docker/dockerfile:1
# A static binary on an empty image: no shell, no libraries, not root.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# A target named by itself keeps build scripts and macros out of the static linking.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    target=$(rustc -vV | sed -n 's/^host: //p') && \
    RUSTFLAGS='-C target-feature=+crt-static' cargo build --release --locked --bin steadfeed --target "$target" && \
    mkdir -p /out/home/certs && \
    cp "target/$target/release/steadfeed" /out/steadfeed && strip /out/steadfeed

FROM scratch
# Whom upstreams over TLS are trusted by.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/steadfeed /usr/local/bin/steadfeed
# Holds certs/, where a self-signed certificate is kept: mount a volume there to keep it over a new container.
COPY --from=build --chown=65532:65532 /out/home /var/lib/steadfeed
COPY config/docker.toml /etc/steadfeed/steadfeed.toml
USER 65532:65532
WORKDIR /var/lib/steadfeed
EXPOSE 8080 8443
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --start-interval=1s CMD ["/usr/local/bin/steadfeed", "health"]
ENTRYPOINT ["/usr/local/bin/steadfeed"]
