package module

import (
	"slices"
	"strings"

	"connectrpc.com/connect"

	"github.com/cleave-go/cleave/gen/cleave/platform/event/v1/eventv1cleave"
	"github.com/cleave-go/cleave/platform/rpc"
)

// MayCall says why a caller may not call a procedure at the internal port of the module that serves it: a code and a sentence. It is nil if
// the map allows the call:
//
//   - a module may call the services that it declares to call;
//   - the edge may call public methods, and those that are for it;
//   - a module may deliver events to those who listen to it, and subscribe at those to whom it listens.
//
// The procedure is the path of the request. Whether the caller is who it says is not decided here, see [Map.Holds].
func (m Map) MayCall(caller, procedure string) error {
	if caller == "" {
		return rpc.Errorf(connect.CodeUnauthenticated, "", "a call at the internal port says which module makes it, and this one does not")
	}
	if path, ok := strings.CutPrefix(procedure, "/modules/"); ok {
		callee, path, _ := strings.Cut(path, "/")
		service, _, _ := strings.Cut(path, "/")
		switch {
		case service == eventv1cleave.DeliveryService.Name && m.listens(callee, caller):
			return nil
		case service == eventv1cleave.SubscriptionService.Name && m.listens(caller, callee):
			return nil
		}
		return rpc.Errorf(connect.CodePermissionDenied, "", "by the map of the house %s may not call %s of %s", caller, service, callee)
	}
	service, method, _ := strings.Cut(strings.TrimPrefix(procedure, "/"), "/")
	if caller == rpc.EdgeCaller && m.forEdge(service, method) || caller != rpc.EdgeCaller && slices.Contains(m.calls(caller), service) {
		return nil
	}
	return rpc.Errorf(connect.CodePermissionDenied, "", "by the map of the house %s may not call %s of %s", caller, method, service)
}

// Holds reports whether a unit holds a module; the edge counts as one. What a unit is called says what it holds, the names of
// its modules with dashes between, unless the map says it. A name with slashes says nothing by itself: in ns/shop/sa/nightly-orders
// somebody has called his own account so who may not decide what it holds.
func (m Map) Holds(unit, module string) bool {
	if modules, ok := m.Units[unit]; ok {
		return slices.Contains(modules, module)
	}
	return !strings.Contains(unit, "/") && slices.Contains(strings.Split(unit, "-"), module)
}

// listens reports whether a module listens to events of another.
func (m Map) listens(module, publisher string) bool {
	i := slices.IndexFunc(m.Modules, func(entry MapModule) bool { return entry.Name == module })
	return i >= 0 && slices.ContainsFunc(m.Modules[i].Listens, func(s MapSubscription) bool { return s.Publisher == publisher })
}

// calls returns the services that a module calls.
func (m Map) calls(caller string) []string {
	for _, module := range m.Modules {
		if module.Name == caller {
			return module.Calls
		}
	}
	return nil
}

// forEdge reports whether a method is one for people and apps, or for the edge itself.
func (m Map) forEdge(service, method string) bool {
	for _, module := range m.Modules {
		for _, s := range module.Serves {
			if s.Name == service {
				return slices.Contains(s.Public, method) || slices.Contains(s.Edge, method)
			}
		}
	}
	return false
}
