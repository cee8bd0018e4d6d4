package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/cleave-go/cleave/gen/cleave/platform/event/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/event/v1/eventv1connect"
)

// logBook is an operator's port whose module orders answers what it is told, and remembers what it was asked.
type logBook struct {
	eventv1connect.UnimplementedEventServiceHandler
	asked proto.Message
}

func (b *logBook) ListEvents(_ context.Context, r *eventv1.ListEventsRequest) (*eventv1.ListEventsResponse, error) {
	b.asked = proto.CloneOf(r)
	response := &eventv1.ListEventsResponse{Events: []*eventv1.LoggedEvent{{
		Event: &eventv1.Event{Id: "evt_1" + r.GetPageToken(), Type: "orders.v1.OrderConfirmed", Subject: "ord_1", Sequence: 3, Time: timestamppb.Now()},
		Json:  `{"orderId":"ord_1"}`,
	}}}
	if r.GetPageToken() == "" {
		response.NextPageToken = "2"
	}
	return response, nil
}

func (b *logBook) ListSubscribers(context.Context, *eventv1.ListSubscribersRequest) (*eventv1.ListSubscribersResponse, error) {
	return &eventv1.ListSubscribersResponse{Subscribers: []*eventv1.Subscriber{{
		Name: "notifications", Types: []string{"orders.v1.OrderConfirmed"}, LagEvents: 7, LagSeconds: 1.5, Kept: 1,
		Error: "notifications is unavailable", ErrorTime: timestamppb.Now(),
		Failures: []*eventv1.Failure{{EventId: "evt_9", Type: "orders.v1.OrderConfirmed", Subject: "ord_9", Kept: true, Attempts: 150, Error: "does not taste"}},
	}}}, nil
}

func (b *logBook) Replay(_ context.Context, r *eventv1.ReplayRequest, stream *connect.ServerStream[eventv1.ReplayResponse]) error {
	b.asked = proto.CloneOf(r)
	if err := stream.Send(&eventv1.ReplayResponse{Delivered: 100}); err != nil {
		return err
	}
	if r.GetSubscriber() == "away" {
		return connect.NewError(connect.CodeUnavailable, context.DeadlineExceeded)
	}
	return stream.Send(&eventv1.ReplayResponse{Delivered: 142, Failed: 2})
}

func (b *logBook) RetryKept(_ context.Context, r *eventv1.RetryKeptRequest) (*eventv1.RetryKeptResponse, error) {
	b.asked = proto.CloneOf(r)
	return &eventv1.RetryKeptResponse{Retried: 4}, nil
}

func (b *logBook) RemoveSubscriber(_ context.Context, r *eventv1.RemoveSubscriberRequest) (*eventv1.RemoveSubscriberResponse, error) {
	b.asked = proto.CloneOf(r)
	return &eventv1.RemoveSubscriberResponse{}, nil
}

func TestEvents(t *testing.T) {
	t.Parallel()
	book := &logBook{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /modules", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode([]string{"orders"}) })
	_, handler := eventv1connect.NewEventServiceHandler(book)
	mux.Handle("/modules/orders/", http.StripPrefix("/modules/orders", handler))
	port := httptest.NewServer(mux)
	t.Cleanup(port.Close)
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	from := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name  string
		args  string
		want  []string
		asked proto.Message
		fails bool
	}{
		{"list", "list orders --subject ord_1 --from 2026-11-21T08:00:00Z --limit 2", []string{"SUBJECT", "evt_1 ", "evt_12", `{"orderId":"ord_1"}`},
			&eventv1.ListEventsRequest{PageSize: 1, PageToken: "2", Range: &eventv1.Range{Subject: "ord_1", FromTime: timestamppb.New(from)}}, false},
		{"list as JSON", "list orders --json", []string{`"type":"orders.v1.OrderConfirmed"`}, nil, false},
		{"list more", "list orders --limit 1", []string{"There is more"}, nil, false},
		{"list from a bad time", "list orders --from today", []string{`--from "today" is no time like`}, nil, true},
		{"subscribers", "subscribers", []string{"notifications", "1.5s", "notifications is unavailable (since ", "kept evt_9", "does not taste"}, nil, false},
		{"subscribers as JSON", "subscribers orders --json", []string{`"publisher":"orders"`, `"kept":"1"`}, nil, false},
		{"replay", "replay orders notifications --type a.v1.B --force", []string{"142 events delivered, 2 of them refused and tried again"},
			&eventv1.ReplayRequest{Subscriber: "notifications", Force: true, Range: &eventv1.Range{Types: []string{"a.v1.B"}}}, false},
		{"replay to nobody", "replay orders away", []string{"repeat it to go on"}, nil, true},
		{"retry", "retry orders notifications evt_9", []string{"4 kept events are tried once more"}, &eventv1.RetryKeptRequest{Subscriber: "notifications", EventId: "evt_9"}, false},
		{"remove", "remove orders notifications", []string{"notifications no longer listens to orders"}, &eventv1.RemoveSubscriberRequest{Subscriber: "notifications"}, false},
		{"another module", "list payments", []string{"holds the module payments; there are orders"}, nil, true},
		{"another port", "subscribers --admin " + other.URL, []string{"there is no operator's port of Cleave"}, nil, true},
		{"nobody", "subscribers --admin " + nobody(t), []string{"nobody answers at", "--admin or CLEAVE_ADMIN_URLS"}, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := run(t, append([]string{"events", "--admin", port.URL}, strings.Fields(c.args)...)...)
			if (err != nil) != c.fails {
				t.Fatalf("%v\n%s", err, out)
			}
			if err != nil {
				out += err.Error()
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("%q is not in what it says:\n%s", want, out)
				}
			}
			if c.asked != nil && !proto.Equal(book.asked, c.asked) {
				t.Errorf("it asked for %v, want %v", book.asked, c.asked)
			}
		})
	}
}
