FROM golang:1.26-bookworm AS build
WORKDIR /src
ENV CGO_ENABLED=0 GOFLAGS=-buildvcs=false

# Modules change seldom, sources often: this layer is kept over most builds.
COPY go.mod go.sum ./
RUN go mod download

COPY . .
RUN mkdir /out && go build -trimpath -ldflags="-s -w" -o /out/ ./cmd/ingest ./cmd/worker ./cmd/towpath

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/ /usr/local/bin/
USER 65532:65532
CMD ["towpath", "--help"]
