package health

import (
	"context"
	"errors"
	"net/http"
	"time"

	"connectrpc.com/connect"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

const (
	// maxWatchers bounds the streams that are open at once.
	maxWatchers = 100
	// watchEvery is how often a stream looks whether there is something to tell.
	watchEvery = time.Second
	// maxRequest is more than any name of a service takes.
	maxRequest = 4 << 10
)

var (
	errUnknown = errors.New("there is no such service here")
	errTooMany = errors.New("too many watch already: ask from time to time instead")
	errEnding  = errors.New("the program is stopping")
)

// grpcPath is where gRPC's service of health is.
const grpcPath = "/grpc.health.v1.Health/"

// GRPC returns the path and the handler of gRPC's service of health, which speaks Connect, too. The empty name is the program, and each
// service that was added is known by its own. The messages are gRPC's own; connectrpc.com/grpchealth wants a later Connect than this house has.
func (h *Health) GRPC() (string, http.Handler) {
	s, limit, mux := service{h}, connect.WithReadMaxBytes(maxRequest), http.NewServeMux()
	mux.Handle(grpcPath+"Check", connect.NewUnaryHandlerSimple(grpcPath+"Check", s.check, limit))
	mux.Handle(grpcPath+"List", connect.NewUnaryHandlerSimple(grpcPath+"List", s.list, limit))
	mux.Handle(grpcPath+"Watch", connect.NewServerStreamHandlerSimple(grpcPath+"Watch", s.watch, limit))
	return grpcPath, mux
}

type service struct{ *Health }

// check says how a service is.
func (s service) check(ctx context.Context, r *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
	statuses := s.statuses(ctx)
	status, known := statuses[r.GetService()]
	if !known {
		return nil, connect.NewError(connect.CodeNotFound, errUnknown)
	}
	return &healthv1.HealthCheckResponse{Status: status}, nil
}

// list says how all services are.
func (s service) list(ctx context.Context, _ *healthv1.HealthListRequest) (*healthv1.HealthListResponse, error) {
	response := &healthv1.HealthListResponse{Statuses: map[string]*healthv1.HealthCheckResponse{}}
	for name, status := range s.statuses(ctx) {
		response.Statuses[name] = &healthv1.HealthCheckResponse{Status: status}
	}
	return response, nil
}

// watch says how a service is, and again when that changes. A service that is not known may still be one day, so by the contract that is no
// error here.
func (s service) watch(ctx context.Context, r *healthv1.HealthCheckRequest, stream *connect.ServerStream[healthv1.HealthCheckResponse]) error {
	if !s.enter() {
		return connect.NewError(connect.CodeResourceExhausted, errTooMany)
	}
	defer s.leave()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for last := healthv1.HealthCheckResponse_UNKNOWN; ; {
		status, known := s.statuses(ctx)[r.GetService()]
		if !known {
			status = healthv1.HealthCheckResponse_SERVICE_UNKNOWN
		}
		if status != last {
			if err := stream.Send(&healthv1.HealthCheckResponse{Status: status}); err != nil {
				return err
			}
			last = status
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.end:
			return connect.NewError(connect.CodeUnavailable, errEnding)
		}
	}
}

// statuses are those of all services.
func (h *Health) statuses(ctx context.Context) map[string]healthv1.HealthCheckResponse_ServingStatus {
	report := h.Report(ctx)
	serving := func(well bool) healthv1.HealthCheckResponse_ServingStatus {
		if well {
			return healthv1.HealthCheckResponse_SERVING
		}
		return healthv1.HealthCheckResponse_NOT_SERVING
	}
	well := map[string]bool{}
	for _, c := range report.Checks {
		well[c.Name] = c.Well
	}
	statuses := map[string]healthv1.HealthCheckResponse_ServingStatus{"": serving(report.Ready)}
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, check := range h.services {
		statuses[name] = serving(report.Doing == "" && well[check])
	}
	return statuses
}

// enter counts a stream, if there is room.
func (h *Health) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers >= maxWatchers {
		return false
	}
	h.watchers++
	return true
}

func (h *Health) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watchers--
}
