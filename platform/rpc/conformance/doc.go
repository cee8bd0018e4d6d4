// Package conformance holds the seam's server against the conformance tests of connectrpc.com/conformance: clients that we did not
// write, Connect's and gRPC's own, find what they expect of it.
//
// The package is its test. The runner is pinned in tools/conformance, the features of ours that it tries are in features.yaml. The
// service under test is of the runner's contract, whose protos are here unchanged, under the licence beside them; what buf
// generates from them, with this folder's buf.gen.yaml, is of no use to a product.
package conformance
