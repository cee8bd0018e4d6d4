package module

import (
	"strings"
	"testing"

	"connectrpc.com/connect"
)

// TestMayCall holds who may call whom, where b calls and listens to a.
func TestMayCall(t *testing.T) {
	t.Parallel()
	_, _, m := house()
	const (
		deliver   = "/cleave.platform.event.v1.DeliveryService/Deliver"
		subscribe = "/cleave.platform.event.v1.SubscriptionService/Subscribe"
	)
	for _, c := range []struct {
		caller, procedure string
		want              connect.Code // 0 if it may.
	}{
		{"b", "/a.v1.Things/Get", 0},
		{"b", "/a.v1.Things/Put", 0},
		{"b", "/a.v1.Things/Unknown", 0}, // The module itself tells.
		{"a", "/b.v1.Other/Get", connect.CodePermissionDenied},
		{"a", "/a.v1.Things/Get", connect.CodePermissionDenied}, // A module calls itself directly.
		{"b", "/a.v1.ThingsAndMore/Get", connect.CodePermissionDenied},
		{"b", "/a.v1", connect.CodePermissionDenied},
		{"b", "//a.v1.Things/Get", connect.CodePermissionDenied},
		{"b", "/modules/a/a.v1.Things/Get", connect.CodePermissionDenied},
		{"b", "/", connect.CodePermissionDenied},
		{"b", "", connect.CodePermissionDenied},
		{"c", "/a.v1.Things/Get", connect.CodePermissionDenied},
		{"", "/a.v1.Things/Get", connect.CodeUnauthenticated},
		{"", "/modules/b" + deliver, connect.CodeUnauthenticated},

		{"edge", "/a.v1.Things/Get", 0},
		{"edge", "/a.v1.Things/Put", connect.CodePermissionDenied},
		{"edge", "/a.v1.Things/Who", 0},
		{"a", "/a.v1.Things/Who", connect.CodePermissionDenied},
		{"edge", "/a.v1.Things/Get/", connect.CodePermissionDenied},
		{"edge", "/a.v1.Things/Unknown", connect.CodePermissionDenied},
		{"edge", "/c.v1.Unknown/Get", connect.CodePermissionDenied},
		{"edge", "/modules/b" + deliver, connect.CodePermissionDenied},

		{"a", "/modules/b" + deliver, 0},
		{"b", "/modules/a" + subscribe, 0},
		{"b", "/modules/a" + deliver, connect.CodePermissionDenied},
		{"a", "/modules/b" + subscribe, connect.CodePermissionDenied},
		{"c", "/modules/b" + deliver, connect.CodePermissionDenied},
		{"a", "/modules/c" + deliver, connect.CodePermissionDenied},
		{"a", deliver, connect.CodePermissionDenied},
		{"b", "/modules/a/cleave.platform.event.v1.EventService/Replay", connect.CodePermissionDenied},
		{"b", "/modules/a/cleave.platform.saga.v1.SagaService/ListSagas", connect.CodePermissionDenied},
	} {
		err := m.MayCall(c.caller, c.procedure)
		if (err == nil) != (c.want == 0) || err != nil && connect.CodeOf(err) != c.want {
			t.Errorf("%q calls %q: %v, want %v", c.caller, c.procedure, err, c.want)
		}
	}
}

// TestHolds holds that a unit holds what it is called after, or else what the map says and nothing more.
func TestHolds(t *testing.T) {
	t.Parallel()
	m, err := ParseMap([]byte(`{"modules":[{"name":"orders"},{"name":"payments"}],"units":{"ns/shop/sa/sales":["orders","payments"],"payments":["edge"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		unit, module string
		want         bool
	}{
		{"orders", "orders", true}, {"orders", "payments", false}, {"orders-edge", "edge", true}, {"edge-orders", "orders", true}, {"orders-edge", "orders-edge", false},
		{"ns/shop/sa/sales", "payments", true}, {"ns/shop/sa/sales", "edge", false}, {"ns/shop/sa/sales", "ns/shop/sa/sales", false},
		{"payments", "edge", true}, {"payments", "payments", false}, {"orders", "", false},
		{"ns/guest/sa/nightly-orders", "orders", false}, {"ns/guest/sa/x-edge-y", "edge", false}, {"orders-x/y", "orders", false},
	} {
		if got := m.Holds(c.unit, c.module); got != c.want {
			t.Errorf("the unit %q holds %q: %v", c.unit, c.module, got)
		}
	}
	if _, err := ParseMap([]byte(`{"modules":[{"name":"edge"}]}`)); err == nil || !strings.Contains(err.Error(), "a module is called edge") {
		t.Errorf("a module called edge: %v", err)
	}
	_, err = ParseMap([]byte(`{"modules":[{"name":"orders"}],"units":{"sales":["orders","paymets"]}}`))
	if err == nil || !strings.Contains(err.Error(), "the unit sales holds paymets, which is no module on it") {
		t.Errorf("a misspelt module: %v", err)
	}
}
