package module

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/platform/event"
	"github.com/cleave-go/cleave/platform/rpc"
)

func service(name string, methods ...*rpc.Method) *rpc.Service {
	return &rpc.Service{Name: name, Methods: methods}
}

// house returns the map of two modules of which b calls a and listens to it.
func house() (a, b Module, m Map) {
	things := service("a.v1.Things", &rpc.Method{Name: "Get", Public: true}, &rpc.Method{Name: "Put"}, &rpc.Method{Name: "Who", SessionCookie: "cleave_session"})
	a = Module{Name: "a", Serves: []*rpc.Service{things, service("a.v1.Empty")}}
	b = Module{Name: "b", Serves: []*rpc.Service{service("b.v1.Other")}, Calls: []*rpc.Service{things, service("a.v1.Empty")}}
	b.Listens = []Subscription{{Publisher: "a", Events: []proto.Message{(*parityv1.LookRequest)(nil), (*parityv1.CallRequest)(nil)}, From: event.Now}}
	return a, b, NewMap([]Module{b, a})
}

func TestMapSaysWhatModulesDeclare(t *testing.T) {
	t.Parallel()
	_, _, got := house()
	want := Map{Modules: []MapModule{
		{Name: "a", Calls: []string{}, Serves: []MapService{
			{Name: "a.v1.Things", Public: []string{"Get"}, Internal: []string{"Put", "Who"}, Edge: []string{"Who"}},
			{Name: "a.v1.Empty", Public: []string{}, Internal: []string{}},
		}},
		{Name: "b", Calls: []string{"a.v1.Empty", "a.v1.Things"}, Serves: []MapService{
			{Name: "b.v1.Other", Public: []string{}, Internal: []string{}},
		}, Listens: []MapSubscription{{Publisher: "a", Events: []string{"platform.parity.v1.CallRequest", "platform.parity.v1.LookRequest"}}}},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if names := strings.Join(got.Names(), " "); names != "a b" {
		t.Errorf("names %q", names)
	}
}

// The map is committed as a file, which every binary carries.
func TestMapSurvivesItsFile(t *testing.T) {
	t.Parallel()
	_, _, want := house()
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ParseMap(text); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if strings.Contains(string(text), "null") {
		t.Errorf("%s: an empty list is null", text)
	}
	if _, err := ParseMap([]byte("{")); err == nil || !strings.Contains(err.Error(), "map of the house") {
		t.Errorf("half a map: %v, want a sentence", err)
	}
}

func TestCheckCalls(t *testing.T) {
	t.Parallel()
	_, b, m := house()
	if err := m.CheckCalls(b); err != nil {
		t.Error(err)
	}
	b.Calls = append(b.Calls, service("c.v1.Missing"))
	if err := m.CheckCalls(b); err == nil || !strings.Contains(err.Error(), "module b calls c.v1.Missing, which no module on the map serves") {
		t.Errorf("%v, want a sentence", err)
	}
	_, b, _ = house()
	b.Listens[0].Publisher = "c"
	if err := m.CheckCalls(b); err == nil || !strings.Contains(err.Error(), "module b listens to c, which is no module on the map") {
		t.Errorf("%v, want a sentence", err)
	}
}

func TestCheckHandlers(t *testing.T) {
	t.Parallel()
	a, b, _ := house()
	handlers := func(services ...*rpc.Service) (list []rpc.Handler) {
		for _, s := range services {
			list = append(list, rpc.Handler{Service: s})
		}
		return list
	}
	for _, c := range []struct {
		name  string
		built []rpc.Handler
		want  string
	}{
		{"as declared", handlers(a.Serves[1], a.Serves[0]), ""},
		{"one is missing", handlers(a.Serves[0]), "module a declares that it serves a.v1.Empty but builds no handler for it"},
		{"none", nil, "module a declares that it serves a.v1.Things but builds no handler for it"},
		{"one too many", handlers(a.Serves[0], a.Serves[1], b.Serves[0]), "module a builds a handler for b.v1.Other but does not declare it"},
	} {
		err := a.CheckHandlers(c.built)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
