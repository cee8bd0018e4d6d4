package edge_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/cleave-go/cleave/platform/edge"
)

// TestIdempotencyKey holds that the header is the request id of who has given none, and is never left out in silence: a repetition would
// be done twice.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		``:                            `{"requestId":"key"}`,
		` { } `:                       `{ "requestId":"key"}`,
		`{"a":{"requestId":"b"}}`:     `{"a":{"requestId":"b"},"requestId":"key"}`,
		`{"a":[1,{}],"b":"}"}`:        `{"a":[1,{}],"b":"}","requestId":"key"}`,
		`{"requestId":"own","a":1}`:   `{"requestId":"own","a":1}`,
		`{"request_id" : "own"}`:      `{"request_id" : "own"}`,
		`{"a":1,"request_id":null}`:   `{"a":1,"request_id":"key"}`,
		`{"requestId" : "" ,"a":1}`:   `{"requestId" : "key" ,"a":1}`,
		`{"\u0072equestId":null}`:     `{"\u0072equestId":"key"}`,
		`{"requestId":{"a":"b"} }`:    `{"requestId":{"a":"b"} }`, // The module refuses it.
		`{"REQUESTID":"not a field"}`: `{"REQUESTID":"not a field","requestId":"key"}`,
	} {
		if got, err := edge.Complete(&errdetails.RequestInfo{}, body, "key"); err != nil || got != want {
			t.Errorf("%s became %s, %v, want %s", body, got, err, want)
		}
		if body = strings.TrimSpace(body); body == "" {
			body = "{}"
		}
		if got, err := edge.Complete(&errdetails.RequestInfo{}, body, ""); err != nil || got != body {
			t.Errorf("without a key %s became %s, %v", body, got, err)
		}
	}
}

// TestManyMembers holds that a body of very many members takes no more memory than another: the members would be ten times the size.
func TestManyMembers(t *testing.T) {
	var b strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&b, `,"%x":1`, i)
	}
	body := "{" + b.String()[1:] + "}"
	if n := testing.AllocsPerRun(1, func() {
		if _, err := edge.Complete(&errdetails.RequestInfo{}, body, ""); err != nil {
			t.Error(err)
		}
	}); n > 100 {
		t.Errorf("it takes %.0f allocations", n)
	}
}
