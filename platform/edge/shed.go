package edge

import (
	"net/http"
	"runtime"
	"time"

	"connectrpc.com/connect"

	"github.com/cleave-go/cleave/platform/rpc"
)

// busyPerProcessor is how many requests may be under way for each processor before the first are refused. A request of the shop takes about a
// millisecond of a processor, so that whoever is the last of 64 waits about as long as one notices. Requests under way are how many come
// times how long they take (Little): so one number tells of too many and of too slow alike, here or in a module far away.
const busyPerProcessor = 64

// busyFrom returns from how many requests at once on the first are refused, if the settings do not say.
func busyFrom(setting int) int {
	if setting > 0 {
		return setting
	}
	return busyPerProcessor * runtime.GOMAXPROCS(0)
}

// room returns how many requests there may be for one of a priority to be let in: those of low priority leave the rest to others, and most
// leave what is beyond twice as many to those of high priority.
func room(p rpc.Priority, busy, all int) int {
	switch p {
	case rpc.Low:
		return min(busy, all)
	case rpc.Normal:
		return min(2*busy, all)
	}
	return all
}

// shed refuses what matters less than what is going on. It is resource_exhausted and not unavailable, because nothing is wrong: it is the
// client who can wait.
func shed() *refusal {
	return &refusal{code: connect.CodeResourceExhausted, status: http.StatusTooManyRequests, after: time.Second, shed: true,
		why: "too much is going on here, and this can wait: call again"}
}
