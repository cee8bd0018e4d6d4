package resilience

import "sync/atomic"

// budget says how many calls may be repeated: every call earns a share of a repetition, and what is earned can be saved up to a limit
// (Finagle's RetryBudget, gRPC A6). failsafe-go's own budget bounds repetitions at one time, and so none of calls that follow each other.
type budget struct {
	earned, most int64 // In thousandths of a repetition.
	saved        atomic.Int64
}

func newBudget(f figures) *budget {
	b := &budget{earned: int64(1000 * f.RetryShare), most: 1000 * int64(f.RetrySaved)}
	b.saved.Store(1000 * int64(f.RetryFloor))
	return b
}

// earn is called for each call.
func (b *budget) earn() {
	if saved := b.saved.Add(b.earned); saved > b.most {
		b.saved.CompareAndSwap(saved, b.most) // Whoever was faster has done it.
	}
}

// take takes a repetition, if there is one.
func (b *budget) take() bool {
	for {
		saved := b.saved.Load()
		if saved < 1000 {
			return false
		}
		if b.saved.CompareAndSwap(saved, saved-1000) {
			return true
		}
	}
}
