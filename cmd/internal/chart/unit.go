package chart

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cleave-go/cleave/platform/rpc"
)

// Unit is a process that holds modules.
type Unit struct {
	// Name is what the map calls it, for one that was not asked.
	Name string `json:"name,omitempty"`
	// URL is its operator's port, for one that was asked.
	URL   string   `json:"url,omitempty"`
	Holds []string `json:"holds"`
	Ready bool     `json:"ready"`
	// Problem says why it is not ready, or why nobody knows.
	Problem string `json:"problem,omitempty"`
	// Peers are the services of other units that its modules call; nil if it does not tell.
	Peers []Peer `json:"peers,omitempty"`
}

// Peer is how a module sees a service of another unit, as GET /peers tells it.
type Peer struct {
	Module  string `json:"module"` // The caller.
	Target  string `json:"target"` // The module that serves.
	Service string `json:"service"`
	// Breaker is closed, half-open or open.
	Breaker  string `json:"breaker"`
	InFlight int64  `json:"in_flight"`
	Policy   Policy `json:"policy"`
	// Addresses are those that its name had when it was looked up last; none if nobody has called yet.
	Addresses []Address `json:"addresses"`
}

// Policy is what bounds the calls to a peer.
type Policy struct {
	// Timeout is that of a call whose caller has none, and Attempts how often one is made that is safe to repeat.
	Timeout     string `json:"timeout"`
	Attempts    int    `json:"attempts"`
	CallsAtOnce int    `json:"calls_at_once"`
}

// Address is one of the places at which a peer lives. One that is not up has failed a moment ago.
type Address struct {
	URL string `json:"url"`
	Up  bool   `json:"up"`
}

const (
	// askTimeout bounds all questions to one unit.
	askTimeout = 5 * time.Second
	// maxAnswer bounds an answer, in bytes.
	maxAnswer = 1 << 20
)

// Ask asks the units at their operator's ports, side by side, what they hold and how they are. One that does not answer is on the chart
// with that as its problem.
func (c *Chart) Ask(ctx context.Context, urls []string) {
	c.Units = make([]Unit, len(urls))
	var asking sync.WaitGroup
	for i, url := range urls {
		asking.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, askTimeout)
			defer cancel()
			c.Units[i] = ask(ctx, strings.TrimSuffix(url, "/"))
		})
	}
	asking.Wait()
}

func ask(ctx context.Context, url string) Unit {
	u := Unit{URL: url, Holds: []string{}}
	status, text, err := get(ctx, url+"/modules")
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		u.Problem = "nobody answers"
		return u
	case err != nil:
		u.Problem = "nobody answers: " + err.Error()
		return u
	case status != http.StatusOK || json.Unmarshal(text, &u.Holds) != nil:
		u.Problem = "there is no operator's port of Cleave"
		return u
	}
	if len(u.Holds) == 0 { // Nothing else is worth a process.
		u.Holds = []string{rpc.EdgeCaller}
	}
	switch status, text, err = get(ctx, url+"/readyz"); {
	case err != nil:
		u.Problem = "does not say whether it is ready: " + err.Error()
	case status != http.StatusOK:
		u.Problem = strings.TrimSpace(string(text))
	default:
		u.Ready = true
	}
	if status, text, err = get(ctx, url+"/peers"); err == nil && status == http.StatusOK {
		if err := json.Unmarshal(text, &u.Peers); err != nil {
			u.Peers = nil // Another release tells it in another way.
		}
	}
	return u
}

func get(ctx context.Context, url string) (status int, text []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("%q is no URL", url)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	text, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return response.StatusCode, text, err
}

// Problems says, of units that were asked, what is not well: a unit that is not ready, a module that no unit holds which is, a service
// that one of them cannot call.
func (c *Chart) Problems() []string {
	var problems []string
	for _, u := range c.Units {
		if !u.Ready {
			problems = append(problems, fmt.Sprintf("%s: %s", u.URL, u.Problem))
		}
		for _, p := range u.Peers {
			switch {
			case p.Breaker == "open":
				problems = append(problems, fmt.Sprintf("%s calls %s of %s no more for the moment: its breaker is open (%s)", p.Module, short(p.Service), p.Target, u.URL))
			case len(p.Addresses) > 0 && !slices.ContainsFunc(p.Addresses, func(a Address) bool { return a.Up }):
				problems = append(problems, fmt.Sprintf("%s reaches %s of %s at none of its addresses (%s)", p.Module, short(p.Service), p.Target, u.URL))
			}
		}
	}
	var homeless []string
	for _, m := range c.Modules {
		if !slices.ContainsFunc(c.Units, func(u Unit) bool { return u.Ready && slices.Contains(u.Holds, m.Name) }) {
			homeless = append(homeless, m.Name)
		}
	}
	if len(homeless) > 0 {
		problems = append(problems, "no unit that was asked and is ready holds "+strings.Join(homeless, ", "))
	}
	return problems
}

// way says how a unit calls a service: directly if it holds the module, and otherwise as it sees the peer, or nil if it does not tell.
func (u Unit) way(call Call) (direct bool, peer *Peer) {
	if slices.Contains(u.Holds, call.Module) {
		return true, nil
	}
	for i, p := range u.Peers {
		if p.Module == call.Caller && p.Service == call.Service {
			return false, &u.Peers[i]
		}
	}
	return false, nil
}
