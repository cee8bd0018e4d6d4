package resilience

import (
	"encoding/json"
	"net/http"
)

// peer is what the operator is told of a caller and a called service.
type peerState struct {
	Module    string         `json:"module"`  // who calls
	Target    string         `json:"target"`  // the module that is called
	Service   string         `json:"service"` // its service
	Breaker   string         `json:"breaker"` // closed, half-open or open
	InFlight  int64          `json:"in_flight"`
	Policy    policyState    `json:"policy"`
	Addresses []addressState `json:"addresses"`
}

// policyState is what bounds the calls.
type policyState struct {
	Timeout     string `json:"timeout"`       // of a call whose caller has none
	Attempts    int    `json:"attempts"`      // of a call that is safe to repeat
	CallsAtOnce int    `json:"calls_at_once"` // streams are counted apart
}

// addressState is an address of the target's name.
type addressState struct {
	URL string `json:"url"`
	Up  bool   `json:"up"`
}

// ServeHTTP answers with the state of each caller and called service that this process has, as a list in JSON:
//
//	[{"module":"orders","target":"payments","service":"cleave.payments.v1.PaymentService","breaker":"closed","in_flight":0,
//	  "policy":{"timeout":"10s","attempts":3,"calls_at_once":256},"addresses":[{"url":"http://10.0.0.7:9080","up":true}]}]
//
// The breaker is closed, half-open or open. An address that is not up has failed a moment ago, and is not asked if there is another; the
// list is empty until the name is first looked up.
func (n *Network) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	sets, _ := n.all()
	list := []peerState{}
	for _, s := range sets {
		state := peerState{
			Module: s.caller, Target: s.peer.module, Service: s.service, Breaker: s.breaker.State().String(), InFlight: s.inFlight(), Addresses: []addressState{},
			Policy: policyState{Timeout: n.config.Timeout.String(), Attempts: n.figures.Attempts, CallsAtOnce: n.config.Calls},
		}
		for _, a := range s.peer.spread.names.known() {
			state.Addresses = append(state.Addresses, addressState{URL: a.url, Up: a.up()})
		}
		list = append(list, state)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(list) // Whoever asked has gone.
}

// inFlight returns how many calls and streams are under way.
func (s *set) inFlight() int64 { return s.calls.taken.Load() + s.streams.taken.Load() }
