package rpc

import (
	"net/http"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
)

// Service describes a service of a contract. Generated code holds one value per service; nobody else makes or changes one.
type Service struct {
	// Name is the full name in the contract, for instance "cleave.orders.v1.OrderService".
	Name string
	// Module is the module that serves it, for instance "orders".
	Module  string
	Methods []*Method

	// prefix goes before the procedures of a service that several modules serve.
	prefix string
}

// Of returns the service as one of several modules serves it: those of the platform itself, of which every module has one. Its
// procedures are below /modules/<module>.
func (s *Service) Of(module string) *Service {
	of := *s
	of.Module, of.prefix = module, "/modules/"+module
	return &of
}

// key tells the service from every other that a process may serve.
func (s *Service) key() string { return s.prefix + "/" + s.Name }

// Operator reports whether the service is for the operator's port only.
func (s *Service) Operator() bool { return len(s.Methods) > 0 && s.Methods[0].Operator }

// Method describes a method of a [Service].
type Method struct {
	// Name is the name in the contract, for instance "PlaceOrder".
	Name string
	// Procedure is the path of the method, for instance "/cleave.orders.v1.OrderService/PlaceOrder".
	Procedure   string
	Idempotency connect.IdempotencyLevel
	// ServerStream says that the method answers with a stream.
	ServerStream bool
	// Public says that the edge serves the method.
	Public bool
	// Route is where the edge serves a public method over REST; nil if it does not.
	Route *Route
	// Pages are where the edge serves plain HTTP by the method, and nothing else; nil for most.
	Pages []Page
	// MaxAge is for how long an answer may be used by anybody who got it, without asking again; 0 if nobody may keep it. A method with a
	// MaxAge is not told who calls it.
	MaxAge time.Duration
	// Operator says that only the operator's port serves the method.
	Operator bool
	// Access says who may call the method if it is public.
	Access Access
	// SessionCookie is the cookie of which the method tells the edge, and nobody else, who is signed in; "" for all others.
	SessionCookie string
	// Priority says how soon the edge refuses the method when there is too much.
	Priority Priority

	// NewRequest and NewResponse return an empty request and response of the method.
	NewRequest  func() proto.Message
	NewResponse func() proto.Message
	// CheckRequest and CheckResponse report what the wire would refuse in a request and a response.
	CheckRequest  func(proto.Message) error
	CheckResponse func(proto.Message) error
}

// Priority is how much a method matters when not everything can be served.
type Priority int

// The priorities. Most methods have none of their own.
const (
	Low Priority = iota - 1 // Refused first.
	Normal
	High // Refused last.
)

// Handler is the implementation of a [Service], made by a generated constructor like ordersv1cleave.NewOrderServiceHandler.
type Handler struct {
	Service *Service

	implementation any
	mount          func(...connect.HandlerOption) (string, http.Handler)
}

// Of returns the handler of one of several modules that serve the service, see [Service.Of].
func (h Handler) Of(module string) Handler {
	h.Service = h.Service.Of(module)
	return h
}

// NewHandler is for generated code: it joins a service, its implementation and its Connect handler.
func NewHandler[H any](service *Service, implementation H, mount func(H, ...connect.HandlerOption) (string, http.Handler)) Handler {
	return Handler{
		Service:        service,
		implementation: implementation,
		mount: func(options ...connect.HandlerOption) (string, http.Handler) {
			return mount(implementation, options...)
		},
	}
}
