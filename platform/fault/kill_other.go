//go:build cleave_fault && !unix

package fault

func kill() { panic("a fault needs Unix") }

func pause() { panic("a fault needs Unix") }
