# syntax=docker/dockerfile:1
ARG V=1
# Build it.
FROM golang:1.22 AS build
WORKDIR /src
RUN go build ./...

FROM --platform=linux/amd64 debian:12
COPY --from=build /src/app /app
CMD ["/app"]
