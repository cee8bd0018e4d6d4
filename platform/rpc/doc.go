// Package rpc is the seam: one contract between modules, two ways to call it.
//
// A module gets the client of a service from a generated constructor, for instance ordersv1cleave.NewOrderServiceClient. If the
// service lives in this process the client calls it directly, otherwise it calls it over the network with Connect. The caller
// cannot tell which, because both give the same:
//
//   - the callee's context has the caller's deadline and cancellation and its [Metadata], and no other value; the caller gets
//     its answer at the deadline, also when the callee ignores it;
//   - errors have a code, a message and details; an error that is not a [connect.Error] becomes internal without its text, and so
//     does a panic;
//   - messages are copied, so that neither side sees a later change by the other; what the wire would refuse (invalid UTF-8,
//     more than [MaxMessageBytes]) is refused;
//   - one chain of [Interceptor] runs around the method, see [NewServer];
//   - a call from inside a database transaction is refused, see [RefuseCalls].
//
// A network adds three codes that no caller can avoid: unavailable, deadline_exceeded and resource_exhausted. The parity suite in
// paritytest holds all of this, for every way to call.
//
// The package owns calls between modules. It does not own who is let in at the public door (platform/edge), nor who lives where
// (platform/app).
package rpc
