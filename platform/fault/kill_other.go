//go:build cleave_fault && !unix

package fault

import "time"

func kill() { panic("a fault needs Unix") }

func pause(time.Duration) { panic("a fault needs Unix") }
