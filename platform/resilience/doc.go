// Package resilience is what a call between units needs and one in a process does not: a deadline that leaves time to answer, repetition
// where that is harmless, and an end to calling where it is of no use. One slow or dead peer does not take its callers with it.
//
// A [Network] has one set of policies for each caller and called service, not for each method: what fails is a process, not a method.
// From the outside in:
//
//   - a deadline: that of the caller, or else [Config.Timeout]. The callee is told a little less than the caller has, so that there is
//     time left to answer; an attempt after which another could follow gets two thirds of what is left;
//   - repetition: of calls that are safe (the contract says NO_SIDE_EFFECTS or IDEMPOTENT, or the request carries a request_id), after
//     unavailable and after an attempt that was not answered in time, with jittered backoff, and within a budget: of all calls of the set,
//     one in ten may be repeated. So however broken a peer is, it meets at most 1.2 times the calls that there are;
//   - a bulkhead: so many calls at once, and no more, after a short wait. Streams have one of their own;
//   - a circuit breaker: where half of the calls of the last seconds were not answered, none are made for a moment; then a few are let
//     through to see. It counts that nobody is there and that nobody has answered in time enough, and nothing that a module has said, be
//     it that it is unavailable: it was there to say so, and may do much else. What it or the bulkhead refuses is unavailable, with a sentence: to whoever asked, there is nobody to answer.
//
// A [Peer] has one set of connections for each address of its name, because HTTP/2 would keep to one of them, and gives them
// requests in turns, but for one that has many more under way than another. It looks the name up again every few seconds while it is used; what fails is set aside for
// a moment.
//
// What comes of it is in the metrics, and as JSON at GET /peers on the operator's port, see [Network.ServeHTTP].
//
// The package owns neither the connections themselves, TLS among them, nor where a module lives (platform/app), nor what is the same
// for a call in this process (platform/rpc). The policies are failsafe-go's.
package resilience
