package resilience_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/cleave-go/cleave/platform/resilience"
)

// nameServer answers for the addresses of one name, and of SRV records that lead to it.
type nameServer struct {
	addr      string
	addresses atomic.Pointer[[]string]
	asked     atomic.Int64
	port      uint16 // Of the SRV records.
}

func startNameServer(t *testing.T) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{addr: conn.LocalAddr().String()}
	s.has()
	served := make(chan struct{})
	go func() {
		defer close(served)
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			if answer, err := s.answer(buffer[:n]); err == nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-served
	})
	return s
}

// has says which addresses the name has from now on.
func (s *nameServer) has(addresses ...string) { s.addresses.Store(&addresses) }

func (s *nameServer) answer(query []byte) ([]byte, error) {
	s.asked.Add(1)
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil || len(m.Questions) != 1 {
		return nil, errors.New("no question")
	}
	q := m.Questions[0]
	m.Response, m.Additionals = true, nil
	header := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 0}
	switch {
	case q.Type == dnsmessage.TypeA && strings.HasPrefix(q.Name.String(), "parity."):
		for _, address := range *s.addresses.Load() {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: netip.MustParseAddr(address).As4()}})
		}
	case q.Type == dnsmessage.TypeSRV:
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.SRVResource{Port: s.port, Target: dnsmessage.MustNewName("parity.node.consul.")}})
	}
	return m.Pack()
}

// replicas are callees at 127.0.0.2, .3, … on one port, as the pods of a headless service are.
type replicas struct {
	t    *testing.T
	port string
	all  map[string]*callee
	kill map[string]func()
}

func startReplicas(t *testing.T, addresses ...string) *replicas {
	t.Helper()
	r := &replicas{t: t, port: "0", all: map[string]*callee{}, kill: map[string]func(){}}
	for _, address := range addresses {
		r.add(address)
	}
	return r
}

func (r *replicas) add(address string) {
	r.t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(address, r.port))
	if err != nil {
		r.t.Fatal(err)
	}
	_, r.port, _ = net.SplitHostPort(listener.Addr().String())
	r.all[address] = new(callee)
	r.kill[address] = serveAt(r.t, r.all[address], listener).kill
}

// shares returns how many calls each replica got since it was last asked.
func (r *replicas) shares() map[string]int64 {
	shares := map[string]int64{}
	for address, c := range r.all {
		shares[address] = c.calls.Swap(0)
	}
	return shares
}

// call makes so many calls, several at once, of which none may fail.
func call(t *testing.T, b *bundle, calls int) {
	t.Helper()
	var waiting sync.WaitGroup
	for range 5 {
		waiting.Go(func() {
			for range calls / 5 {
				if err := b.look(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	waiting.Wait()
}

// quick has names looked up often.
func quick(s *nameServer) func(*resilience.Config, *resilience.Figures) {
	return func(c *resilience.Config, f *resilience.Figures) {
		if s != nil {
			c.DNS = s.addr
		}
		f.Lookup, f.Aside = 50*time.Millisecond, 50*time.Millisecond
	}
}

func wantShares(t *testing.T, shares map[string]int64, calls int64, addresses ...string) {
	t.Helper()
	for _, address := range addresses {
		fair := calls / int64(len(addresses))
		if got := shares[address]; got < fair*8/10 || got > fair*12/10 {
			t.Errorf("the shares are %v, want %d for each of %v", shares, fair, addresses)
			return
		}
	}
}

// One name has three replicas, which get equal shares over h2c; one is killed, one is added, one is removed, and no call fails.
func TestReplicas(t *testing.T) {
	t.Parallel()
	names := startNameServer(t)
	names.has("127.0.0.2", "127.0.0.3", "127.0.0.4")
	r := startReplicas(t, "127.0.0.2", "127.0.0.3", "127.0.0.4")
	b := at(t, nil, quick(names), "http://parity.service.consul:"+r.port)
	call(t, b, 300)
	wantShares(t, r.shares(), 300, "127.0.0.2", "127.0.0.3", "127.0.0.4")

	// One is killed while it is called: its name leads there yet.
	calling, stop := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	for range 5 {
		waiting.Go(func() {
			for calling.Err() == nil {
				if err := b.look(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	eventually(t, "calls are under way", func() bool { return r.all["127.0.0.3"].calls.Load() > 10 })
	r.kill["127.0.0.3"]()
	eventually(t, "the others go on", func() bool { return r.all["127.0.0.2"].calls.Load() > 200 })
	stop()
	waiting.Wait()

	r.add("127.0.0.5")
	names.has("127.0.0.2", "127.0.0.4", "127.0.0.5")
	eventually(t, "the new one is found", func() bool {
		call(t, b, 10)
		return r.all["127.0.0.5"].calls.Load() > 0
	})
	r.shares()
	call(t, b, 300)
	wantShares(t, r.shares(), 300, "127.0.0.2", "127.0.0.4", "127.0.0.5")
	if got := b.metric(t, "cleave_peer_addresses"); got != 3 {
		t.Errorf("%v addresses are known", got)
	}

	// One is removed while it works at a call, which it ends.
	entered, release := make(chan struct{}, 1), make(chan struct{})
	r.all["127.0.0.4"].is(func(context.Context) error {
		select {
		case entered <- struct{}{}: // The first.
			<-release
		default:
		}
		return nil
	})
	waiting.Go(func() {
		for len(entered) == 0 {
			if err := b.look(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	eventually(t, "it is at work", func() bool { return len(entered) > 0 })
	names.has("127.0.0.2", "127.0.0.5")
	eventually(t, "the removed one is left", func() bool {
		call(t, b, 10)
		return b.metric(t, "cleave_peer_addresses") == 2
	})
	close(release)
	waiting.Wait()
	r.shares()
	call(t, b, 100)
	if shares := r.shares(); shares["127.0.0.4"] != 0 {
		t.Errorf("after one was removed the shares are %v", shares)
	}

	// What was known stays when nobody answers for the name.
	names.has()
	asked := names.asked.Load()
	eventually(t, "the name is looked up again", func() bool {
		call(t, b, 5)
		return names.asked.Load() > asked+2
	})
	call(t, b, 100)
}

// Consul tells the port, too.
func TestServiceRecords(t *testing.T) {
	t.Parallel()
	names := startNameServer(t)
	names.has("127.0.0.6", "127.0.0.7")
	r := startReplicas(t, "127.0.0.6", "127.0.0.7")
	if _, err := fmt.Sscan(r.port, &names.port); err != nil {
		t.Fatal(err)
	}
	b := at(t, nil, quick(names), "http://_parity._tcp.service.consul")
	call(t, b, 100)
	wantShares(t, r.shares(), 100, "127.0.0.6", "127.0.0.7")
}

// A list of URLs is one peer, of which the part that is away is not waited for.
func TestList(t *testing.T) {
	t.Parallel()
	r := startReplicas(t, "127.0.0.8", "127.0.0.9")
	b := at(t, nil, quick(nil), "http://127.0.0.8:"+r.port+", http://127.0.0.9:"+r.port+"/,http://127.0.0.10:"+r.port)
	call(t, b, 100)
	wantShares(t, r.shares(), 100, "127.0.0.8", "127.0.0.9")
}

// A replica that takes requests and answers none gets few of them.
func TestSickReplica(t *testing.T) {
	t.Parallel()
	r := startReplicas(t, "127.0.0.11", "127.0.0.12")
	b := at(t, nil, func(c *resilience.Config, f *resilience.Figures) {
		f.Aside, f.MaxAside, f.Patience, c.Timeout = time.Minute, time.Minute, time.Millisecond, 600*time.Millisecond
	}, "http://127.0.0.11:"+r.port+",http://127.0.0.12:"+r.port)
	release := make(chan struct{})
	defer close(release)
	r.all["127.0.0.11"].is(func(context.Context) error {
		<-release
		return nil
	})
	for range 100 {
		_ = b.look(context.Background()) // Fails if its second attempt is late on a busy machine.
	}
	if shares := r.shares(); shares["127.0.0.11"] > 8 || shares["127.0.0.12"] < 90 {
		t.Errorf("the shares are %v", shares)
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{"", "orders:9080", "HTTP://orders", "http://", "http://orders/path", "http://a,https://b", "http://a,,http://b", "ftp://a"} {
		if urls, err := resilience.ParseURLs(wrong); err == nil {
			t.Errorf("%q is taken for %v", wrong, urls)
		}
	}
}
