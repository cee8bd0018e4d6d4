package paritytest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/platform/rpc"
)

type watchStream = connect.ServerStream[parityv1.WatchResponse]

// items returns n items of a stream.
func items(n int) []*parityv1.WatchResponse {
	var list []*parityv1.WatchResponse
	for i := range n {
		list = append(list, &parityv1.WatchResponse{Index: int32(i), Text: fmt.Sprint("item ", i)})
	}
	return list
}

// sendAll sends items.
func sendAll(stream *watchStream, list []*parityv1.WatchResponse) error {
	for _, item := range list {
		if err := stream.Send(item); err != nil {
			return err
		}
	}
	return nil
}

// streams is a case whose callee sends so many items and then ends as it is told.
func streams(name string, count int, end func() error, want Seen) Case {
	want.Items = items(count)
	return Case{Name: name, Want: want, Do: func(_ *testing.T, p *Pair) Seen {
		p.OnWatch(func(_ context.Context, _ *parityv1.WatchRequest, stream *watchStream) error {
			if err := sendAll(stream, items(count)); err != nil {
				return err
			}
			return end()
		})
		return p.Watch(p.Context, &parityv1.WatchRequest{})
	}}
}

func TestStreams(t *testing.T) {
	t.Parallel()
	fine := func() error { return nil }
	soldOut := func() error { return rpc.Errorf(connect.CodeAborted, "SOLD_OUT", "none left") }
	refused := Seen{
		Code: connect.CodeAborted, Message: "none left", Details: []proto.Message{&errdetails.ErrorInfo{Reason: "SOLD_OUT", Domain: "cleave"}},
	}
	Run(t,
		streams("no item", 0, fine, Seen{}),
		streams("three items", 3, fine, Seen{}),
		streams("many items", 1_000, fine, Seen{}),
		streams("error at once", 0, soldOut, refused),
		streams("error after two items", 2, soldOut, refused),
		streams("plain error after two items", 2, func() error { return errors.New("secret") }, internal),
		streams("code that does not exist after two items", 2, func() error { return connect.NewError(99, errors.New("secret")) }, internal),
		streams("panic at once", 0, func() error { panic("lost my keys") }, internal),
		streams("panic after two items", 2, func() error { panic("lost my keys") }, internal),
		streams("long message", 1, func() error { return connect.NewError(connect.CodeAborted, errors.New(strings.Repeat("é", 9_000))) },
			Seen{Code: connect.CodeAborted, Message: strings.Repeat("é", 1_024) + "…"}),
	)
}

func TestStreamItems(t *testing.T) {
	t.Parallel()
	// sends is a case whose callee sends one item between two good ones, and goes on whatever Send says.
	sends := func(name string, item *parityv1.WatchResponse, want Seen) Case {
		return Case{Name: name, Want: want, Do: func(_ *testing.T, p *Pair) Seen {
			p.OnWatch(func(_ context.Context, _ *parityv1.WatchRequest, stream *watchStream) error {
				for _, m := range []*parityv1.WatchResponse{{Index: 1}, item, {Index: 3}} {
					if err := stream.Send(m); err != nil {
						p.Note("%v", err)
					}
				}
				return nil
			})
			return p.Watch(p.Context, &parityv1.WatchRequest{})
		}}
	}
	around := func(between ...*parityv1.WatchResponse) []*parityv1.WatchResponse {
		return append(append([]*parityv1.WatchResponse{{Index: 1}}, between...), &parityv1.WatchResponse{Index: 3})
	}
	// The tag and the length of the text are 5 bytes.
	largest := &parityv1.WatchResponse{Text: strings.Repeat("x", rpc.MaxMessageBytes-5)}
	larger := &parityv1.WatchResponse{Text: strings.Repeat("x", rpc.MaxMessageBytes-4)}
	unknown := &parityv1.WatchResponse{}
	unknown.ProtoReflect().SetUnknown([]byte{0xfa, 0x3e, 3, 'n', 'e', 'w'})
	Run(t,
		sends("fine", &parityv1.WatchResponse{Index: math.MinInt32, Text: "商品"},
			Seen{Items: around(&parityv1.WatchResponse{Index: math.MinInt32, Text: "商品"})}),
		sends("empty", &parityv1.WatchResponse{}, Seen{Items: around(&parityv1.WatchResponse{})}),
		sends("nil is no item", nil, Seen{Items: around()}),
		sends("fields that are not known here", unknown, Seen{Items: around(unknown)}),
		sends("text that is not UTF-8", &parityv1.WatchResponse{Text: "\xff"}, Seen{Items: around(), Notes: []string{"internal: internal error"}}),
		sends("largest", largest, Seen{Items: around(largest)}),
		sends("larger", larger, Seen{
			Items: around(), Notes: []string{"resource_exhausted: response: message is larger than 4194304 bytes"},
		}),
		Case{Name: "changed after it was sent", Want: Seen{Items: items(3)}, Do: func(_ *testing.T, p *Pair) Seen {
			p.OnWatch(func(_ context.Context, _ *parityv1.WatchRequest, stream *watchStream) error {
				item := new(parityv1.WatchResponse)
				for _, next := range items(3) {
					proto.Reset(item)
					proto.Merge(item, next)
					if err := stream.Send(item); err != nil {
						return err
					}
				}
				proto.Reset(item)
				return nil
			})
			return p.Watch(p.Context, &parityv1.WatchRequest{})
		}},
		Case{Name: "its error ends the stream", Want: Seen{
			Code: connect.CodeResourceExhausted, Message: "response: message is larger than 4194304 bytes", Items: items(1),
		}, Do: func(t *testing.T, p *Pair) Seen {
			p.OnWatch(func(_ context.Context, _ *parityv1.WatchRequest, stream *watchStream) error {
				return sendAll(stream, append(items(1), larger))
			})
			seen := p.Watch(p.Context, &parityv1.WatchRequest{})
			wantLog(t, p, "response cannot be sent", "larger than")
			return seen
		}},
		Case{
			Name: "request with text that is not UTF-8",
			Want: Seen{Code: connect.CodeInvalidArgument, Message: "request: message has a string that is not valid UTF-8"},
			Do: func(_ *testing.T, p *Pair) Seen {
				never(p)
				return p.Watch(p.Context, &parityv1.WatchRequest{Case: "\xff"})
			},
		},
		Case{
			Name: "request that is too large",
			Want: Seen{Code: connect.CodeResourceExhausted, Message: "request: message is larger than 4194304 bytes"},
			Do: func(_ *testing.T, p *Pair) Seen {
				never(p)
				return p.Watch(p.Context, &parityv1.WatchRequest{Case: strings.Repeat("x", rpc.MaxMessageBytes)})
			},
		},
	)
}

func TestStreamThatTheCallerLeaves(t *testing.T) {
	t.Parallel()
	// leave opens a stream, leaves it as it is told after the first item, and waits until the callee has seen it.
	leave := func(p *Pair, how func(cancel func(), stream *connect.ServerStreamForClient[parityv1.WatchResponse])) Seen {
		observed := make(chan struct{})
		p.OnWatch(func(ctx context.Context, _ *parityv1.WatchRequest, stream *watchStream) error {
			defer close(observed)
			if err := sendAll(stream, items(1)); err != nil {
				return err
			}
			p.Note("%v", ends(p, ctx))
			return ctx.Err()
		})
		ctx, cancel := context.WithCancel(p.Context)
		defer cancel()
		stream, err := p.Client.Watch(ctx, &parityv1.WatchRequest{})
		if err != nil {
			return SeenError(err)
		}
		if !stream.Receive() {
			return SeenError(stream.Err())
		}
		first := stream.Msg()
		how(cancel, stream)
		<-observed
		seen := SeenError(stream.Err())
		seen.Items = []*parityv1.WatchResponse{first}
		return seen
	}
	left := Seen{Items: items(1), Notes: []string{"context canceled"}}
	leftWithError := Seen{Code: connect.CodeCanceled, Message: "context canceled", Items: items(1), Notes: []string{"context canceled"}}
	Run(t,
		Case{Name: "by closing it", Want: left, Do: func(t *testing.T, p *Pair) Seen {
			return leave(p, func(_ func(), stream *connect.ServerStreamForClient[parityv1.WatchResponse]) {
				if err := stream.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
		}},
		Case{Name: "by canceling while it waits", Want: leftWithError, Do: func(_ *testing.T, p *Pair) Seen {
			return leave(p, func(cancel func(), stream *connect.ServerStreamForClient[parityv1.WatchResponse]) {
				cancel()
				stream.Receive()
				_ = stream.Close()
			})
		}},
		Case{Name: "by canceling while the callee sends", Want: canceled, Do: func(_ *testing.T, p *Pair) Seen {
			observed := make(chan struct{})
			p.OnWatch(func(_ context.Context, _ *parityv1.WatchRequest, stream *watchStream) error {
				defer close(observed)
				for {
					if err := stream.Send(&parityv1.WatchResponse{Text: strings.Repeat("x", 1<<16)}); err != nil {
						return err
					}
				}
			})
			ctx, cancel := context.WithCancel(p.Context)
			defer cancel()
			stream, err := p.Client.Watch(ctx, &parityv1.WatchRequest{})
			if err != nil {
				return SeenError(err)
			}
			stream.Receive()
			cancel()
			for stream.Receive() { // What has arrived is given.
			}
			<-observed
			_ = stream.Close()
			return SeenError(stream.Err())
		}},
		Case{Name: "and what follows is refused", Want: canceled, Do: func(_ *testing.T, p *Pair) Seen {
			p.OnWatch(func(_ context.Context, _ *parityv1.WatchRequest, stream *watchStream) error {
				return sendAll(stream, items(1))
			})
			ctx, cancel := context.WithCancel(p.Context)
			cancel()
			return p.Watch(ctx, &parityv1.WatchRequest{})
		}},
	)
}

func TestStreamDeadline(t *testing.T) {
	t.Parallel()
	exceeded := deadlineExceeded
	exceeded.Items = items(1)
	watch := func(p *Pair) Seen {
		ctx, cancel := context.WithTimeout(p.Context, later)
		defer cancel()
		return p.Watch(ctx, &parityv1.WatchRequest{})
	}
	Run(t,
		Case{Name: "callee respects it", Want: exceeded, Do: func(_ *testing.T, p *Pair) Seen {
			p.OnWatch(func(ctx context.Context, _ *parityv1.WatchRequest, stream *watchStream) error {
				if err := sendAll(stream, items(1)); err != nil {
					return err
				}
				return ends(p, ctx)
			})
			return watch(p)
		}},
		Case{Name: "callee ignores it after an item", Want: exceeded, Do: func(t *testing.T, p *Pair) Seen {
			release := make(chan struct{})
			t.Cleanup(func() { close(release) })
			p.OnWatch(func(_ context.Context, _ *parityv1.WatchRequest, stream *watchStream) error {
				if err := sendAll(stream, items(1)); err != nil {
					return err
				}
				<-release
				return nil
			})
			return watch(p)
		}},
		Case{Name: "callee ignores it and sends nothing", Want: deadlineExceeded, Do: func(t *testing.T, p *Pair) Seen {
			release := make(chan struct{})
			t.Cleanup(func() { close(release) })
			p.OnWatch(func(context.Context, *parityv1.WatchRequest, *watchStream) error {
				<-release
				return nil
			})
			return watch(p)
		}},
	)
}

func TestStreamContext(t *testing.T) {
	t.Parallel()
	arrived := full()
	arrived.Caller = "caller"
	want := &Pair{}
	noteMetadata(want, arrived)
	type key struct{}
	Run(t,
		Case{Name: "metadata and nothing else", Want: Seen{}.noted(append(want.notes, "caller's value: <nil>", "deadline: true", "method: Watch")...),
			Do: func(_ *testing.T, p *Pair) Seen {
				p.OnWatch(func(ctx context.Context, _ *parityv1.WatchRequest, _ *watchStream) error {
					noteMetadata(p, rpc.MetadataOf(ctx))
					p.Note("caller's value: %v", ctx.Value(key{}))
					_, ok := ctx.Deadline()
					p.Note("deadline: %t", ok)
					p.Note("method: %s", rpc.MethodOf(ctx).Name)
					return nil
				})
				return p.Watch(rpc.WithMetadata(context.WithValue(p.Context, key{}, "secret"), full()), &parityv1.WatchRequest{})
			}},
		// A callee that has sent a few items is done, also when nobody has read them yet.
		Case{Name: "ends with the callee, who does not wait for the reader", Want: Seen{Items: items(3)}, Do: func(_ *testing.T, p *Pair) Seen {
			left := make(chan error)
			p.OnWatch(func(ctx context.Context, _ *parityv1.WatchRequest, stream *watchStream) error {
				go func() { left <- ends(p, ctx) }()
				return sendAll(stream, items(3))
			})
			stream, err := p.Client.Watch(p.Context, &parityv1.WatchRequest{})
			if err != nil {
				return SeenError(err)
			}
			if err := <-left; !errors.Is(err, context.Canceled) {
				p.Note("%v", err)
			}
			var got []*parityv1.WatchResponse
			for stream.Receive() {
				got = append(got, stream.Msg())
			}
			_ = stream.Close()
			seen := SeenError(stream.Err())
			seen.Items = got
			return seen
		}},
	)
}
