package moduletest

import (
	"maps"
	"slices"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/cleave-go/cleave/platform/rpc"
)

// Requests are calls of all methods of a module that change something, by name. Each makes the same request with the same request id, and
// has an effect the first time; asked for the other one, it makes another request with that id, or none if there can be no other.
type Requests map[string]func(other bool) (proto.Message, error)

// HappenOnce holds that each of the methods that services change something by does so once for a request id: also when the same request comes
// several times at once, all of which get the same answer. Another request under the same id is refused. What the module has written down is
// what dump returns; check looks at what one request has changed.
func (r Requests) HappenOnce(t *testing.T, services []*rpc.Service, dump func() string, check func(name, before, after string)) {
	t.Helper()
	for _, service := range services {
		for _, m := range service.Methods {
			if _, changes := m.NewRequest().(interface{ GetRequestId() string }); changes && r[m.Name] == nil {
				t.Errorf("%s is not in this test", m.Procedure)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r)) {
		before := dump()
		first := atOnce(t, name, r[name])
		after := dump()
		if before == after {
			t.Errorf("%s has changed nothing", name)
		}
		check(name, before, after)
		if again, err := r[name](false); err != nil || !proto.Equal(first, again) {
			t.Errorf("%s again: %v, %v, want %v", name, again, err, first)
		}
		if answer, err := r[name](true); answer != nil && err == nil || err != nil && (connect.CodeOf(err) != connect.CodeAlreadyExists || rpc.Reason(err) != "REQUEST_ID_REUSED") {
			t.Errorf("%s of something else under the same id: %v, %v", name, answer, err)
		}
		if dump() != after {
			t.Errorf("%s again has changed something", name)
		}
	}
}

// atOnce makes a call several times at once, and returns the answer, which is to be the same.
func atOnce(t *testing.T, name string, call func(other bool) (proto.Message, error)) (first proto.Message) {
	t.Helper()
	type reply struct {
		answer proto.Message
		err    error
	}
	replies := make(chan reply, 5)
	for range cap(replies) {
		go func() {
			answer, err := call(false)
			replies <- reply{answer, err}
		}()
	}
	for range cap(replies) {
		r := <-replies
		if r.err != nil || first != nil && !proto.Equal(first, r.answer) {
			t.Errorf("%s: %v, %v, and another was answered %v", name, r.answer, r.err, first)
		}
		first = r.answer
	}
	return first
}
