// Package paritytest shows that a call is the same for every way to make it: in this process, and over a network by each protocol
// that [rpc.Server] speaks.
//
// A [Case] is a callee, a caller, and what both must see. [Run] plays it for every [Way] and compares what was seen with what the
// case wants, and the ways with each other. The cases of the seam itself are the tests of this package; a package that adds an
// interceptor adds its cases with Run from its own tests.
//
// It owns how cases are played. It does not own the contract of the service they play with, cleave.platform.parity.v1, which no
// product serves.
package paritytest
