// Package health tells whether a program is started, ready and alive: over HTTP, over gRPC (grpc.health.v1), and to whoever looks from the
// command line.
//
// Ready means that it can do its own work: what it has of its own, databases, is well. Others whom it calls have no part in that: if their
// absence made it unready, one dead part would take the rest with it.
//
// It owns the answers. It does not own what a check looks at.
package health
