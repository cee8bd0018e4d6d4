package rpc

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"connectrpc.com/connect"
)

// Directory knows where each module lives.
type Directory struct {
	server *Server
	log    *slog.Logger
	local  map[string]bool
	peer   func(module string) Peer
	memory *http.Client
}

// Peer is where a module lives that is not in this process.
type Peer struct {
	// URL is the base of its internal port, for instance http://orders:9080.
	URL    string
	Client connect.HTTPClient
	// Options choose a protocol; the default is Connect. Interceptors among them run inside of the seam's own: they see what the
	// network answered, and may try again.
	Options []connect.ClientOption
	// Around returns what runs around the calls that a module makes of a service, inside of the Options: what a network needs and a call
	// in this process does not. Nil if there is nothing.
	Around func(caller string, service *Service) connect.Interceptor
}

// NewDirectory returns a directory of which the local modules are served by server and all others by the peers that peer names.
func NewDirectory(server *Server, local []string, peer func(module string) Peer) *Directory {
	d := &Directory{
		server: server, log: server.log, local: map[string]bool{}, peer: peer,
		memory: &http.Client{Transport: &memoryTransport{server}},
	}
	for _, module := range local {
		d.local[module] = true
	}
	return d
}

// Caller returns what a module calls others with.
func (d *Directory) Caller(module string, declared []*Service) *Caller {
	c := &Caller{directory: d, module: module, declared: map[string]bool{}, err: new(error)}
	for _, service := range declared {
		c.declared[service.key()] = true
	}
	return c
}

// Caller is one module as a caller of others. Generated constructors take it.
type Caller struct {
	directory *Directory
	module    string
	declared  map[string]bool // by key
	err       *error

	at string // The module whose services are called; empty for the one that the contract names.
}

// At returns a caller for clients of services that several modules serve, see [Service.Of]: they call those of the given module.
func (c *Caller) At(module string) *Caller {
	at := *c
	at.at = module
	return &at
}

// Err tells which clients the module asked for without declaring that it calls the service. The host asks after the module is
// built, and does not start if there are any.
func (c *Caller) Err() error { return *c.err }

// NewClient is for generated code: it returns a client of the service for the caller, direct if the service lives in this process
// and over the network otherwise. Streams of a direct client go through the same HTTP handler in memory.
func NewClient[C any](
	from *Caller, service *Service, dial func(connect.HTTPClient, string, ...connect.ClientOption) C, direct func(*Local, C) C,
) C {
	d := from.directory
	if from.at != "" {
		service = service.Of(from.at)
	}
	side := &callerInterceptor{caller: from, service: service, methods: map[string]*Method{}}
	for _, method := range service.Methods {
		side.methods[method.Procedure] = method
	}
	if !from.declared[service.key()] {
		side.broken = fmt.Errorf("module %s calls %s but does not declare it: add it to Calls in its module.go", from.module, service.Name)
		*from.err = errors.Join(*from.err, side.broken)
	}
	options := []connect.ClientOption{connect.WithInterceptors(side), connect.WithReadMaxBytes(MaxMessageBytes)}
	if d.local[service.Module] {
		options = append(options, connect.WithAcceptCompression("gzip", nil, nil)) // Memory is no narrow road.
		return direct(&Local{side}, dial(d.memory, "http://"+service.Module+service.prefix, options...))
	}
	peer := d.peer(service.Module)
	options = append(options, peer.Options...)
	if peer.Around != nil {
		options = append(options, connect.WithInterceptors(peer.Around(from.module, service)))
	}
	return dial(peer.Client, strings.TrimSuffix(peer.URL, "/")+service.prefix, options...)
}
