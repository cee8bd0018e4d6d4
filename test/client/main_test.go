// Package client holds that clients which are not ours work against the public port: a browser, with the reference page and with
// gRPC-Web, and what docs/guides/calling.md shows, curl and grpcurl.
package client

import (
	"testing"

	"github.com/cleave-go/cleave/platform/postgrestest"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }
