package app

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cleave-go/cleave/gen/cleave/platform/event/v1/eventv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/platform/event/v1/eventv1connect"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/platform/person/v1/personv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/platform/person/v1/personv1connect"
	"github.com/cleave-go/cleave/gen/cleave/platform/saga/v1/sagav1cleave"
	"github.com/cleave-go/cleave/gen/cleave/platform/saga/v1/sagav1connect"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/rpc"
)

// answers reports whether somebody answers for a procedure at a port, with whatever, when the module elsewhere calls it.
func answers(t *testing.T, url, procedure string) bool {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+procedure, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Cleave-Caller", "elsewhere")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode != http.StatusNotFound && response.StatusCode != http.StatusForbidden
}

// operatorMethods returns where a port could serve what is for the operator of the module parity.
func operatorMethods() (served, otherwise []string) {
	for _, service := range []*rpc.Service{eventv1cleave.EventService, personv1cleave.PersonService, sagav1cleave.SagaService} {
		for _, method := range service.Methods {
			served, otherwise = append(served, "/modules/parity"+method.Procedure), append(otherwise, method.Procedure)
		}
	}
	return served, otherwise
}

// What is for the operator is served at the operator's port and at no other one, where people and other modules call.
func TestOperatorServices(t *testing.T) {
	configure(t)
	p := &parity{call: func(context.Context) error { return nil }}
	here := p.module()
	program := program(t, here, module.Module{Name: "elsewhere", Calls: []*rpc.Service{parityv1cleave.ParityService}})
	program.Modules = []module.Module{here}
	program.Edge = []*rpc.Service{parityv1cleave.ParityService}
	r := start(t, program)
	const call = "/cleave.platform.parity.v1.ParityService/Call"
	if !answers(t, r.public, call) || !answers(t, r.internal, call) || answers(t, r.admin, call) {
		t.Error("what is public is not served at the public and the internal port, or at the operator's")
	}
	served, otherwise := operatorMethods()
	for _, procedure := range served {
		if !answers(t, r.admin, procedure) {
			t.Errorf("the operator's port does not serve %s", procedure)
		}
	}
	for port, url := range map[string]string{"public": r.public, "internal": r.internal} {
		for _, procedure := range append(served, otherwise...) {
			if answers(t, url, procedure) {
				t.Errorf("the %s port serves %s, which is for the operator", port, procedure)
			}
		}
	}

	// A port that served them would be noticed.
	careless, err := rpc.NewServer(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []rpc.Handler{
		eventv1cleave.NewEventServiceHandler(eventv1connect.UnimplementedEventServiceHandler{}),
		sagav1cleave.NewSagaServiceHandler(sagav1connect.UnimplementedSagaServiceHandler{}),
		personv1cleave.NewPersonServiceHandler(personv1connect.UnimplementedPersonServiceHandler{}),
	} {
		if err := careless.Handle(h.Of("parity")); err != nil {
			t.Fatal(err)
		}
	}
	port := httptest.NewServer(careless)
	defer port.Close()
	for _, procedure := range served {
		if !answers(t, port.URL, procedure) {
			t.Errorf("a port that serves %s would not be noticed", procedure)
		}
	}
}
