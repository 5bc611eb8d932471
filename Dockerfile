# syntax=docker/dockerfile:1
FROM golang:1.26-bookworm AS build
WORKDIR /src

# The modules are a layer of their own: they change less often than the code.
COPY go.mod go.sum ./
RUN go mod download

COPY api api
COPY cmd cmd
COPY internal internal
ARG VERSION=unknown
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /rte-server ./cmd/rte-server

# One static binary, and the certificates it needs to call a JWKS endpoint or a Redis over TLS.
FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /rte-server /rte-server

# A user of no other container. It owns nothing: the server writes no files.
USER 65532:65532

# Clients, and the operator port.
EXPOSE 8080 9090

# Probes the operator port. The command finds it in console.listen: of the environment, or the default.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["/rte-server", "health"]
ENTRYPOINT ["/rte-server"]
CMD ["serve"]
