package rpc_test

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/cleave-go/cleave/platform/rpc"
)

// TestPrincipalFitsHeaders holds that whoever a token of 8 KiB can name can be told of in the headers of an internal port, which are 32 KiB.
func TestPrincipalFitsHeaders(t *testing.T) {
	t.Parallel()
	for _, char := range []string{"a", "<", "&", `"`, `\`} {
		list := make([]string, 50)
		for i := range list {
			list[i] = strings.Repeat(char, 60)
		}
		m := rpc.Metadata{Principal: rpc.Principal{Subject: strings.Repeat(char, 128), Roles: list, Scopes: list}}
		header := http.Header{}
		if err := m.Encode(header); err != nil {
			t.Fatal(err)
		}
		if size := len(header.Get("Cleave-Principal")); size > 20<<10 {
			t.Errorf("6 KiB of %s are %d bytes", char, size)
		}
		if got, err := rpc.DecodeMetadata(header); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("of %s comes %+v, %v", char, got, err)
		}
	}
}
