// Package topology runs programs of the house as real processes in a test: built with their tags, on ports of their own, each told
// where the others live.
//
// It owns the processes: whatever happens to a test, none is left, and what they said is shown when the test fails. It does not know
// what lives in them: modules, tags and settings come from the test.
//
//	binaries := topology.NewBinaries(t)
//	house := topology.Start(t,
//		topology.Unit{Name: "orders", Binary: binaries.Build(t, "cmd/svc", "orders"), Modules: []string{"orders"}},
//		topology.Unit{Name: "edge", Binary: binaries.Build(t, "cmd/svc", "edge"), Edge: true},
//	)
//	call(house.Public())
//	house.Unit("orders").Kill(t)
//	house.Unit("orders").Restart(t)
package topology
