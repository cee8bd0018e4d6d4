package edge

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"connectrpc.com/connect"
)

// maxClients bounds the clients that a rate knows, twice: see [rate].
const maxClients = 1 << 16

// rate lets each client make so many requests a second, and twice as many at once after a pause. It is the token bucket as one time per
// client (GCRA, ATM Forum TM 4.0): the time at which its bucket is full again.
//
// Who is full again is as good as unknown. So clients are kept in two generations, each as long as it takes to fill a bucket: who is
// only in the older one when that is dropped is full. Nobody can fill the table to be forgotten; when it is full, those who come new
// share one bucket until the generation ends.
type rate struct {
	every  time.Duration // A request comes back after that.
	burst  time.Duration // What a full bucket is worth.
	policy []string      // What tells a client of its rate.

	mu         sync.Mutex
	young, old map[client]time.Time
	born       time.Time // Of young.
}

// newRate returns a rate of so many requests a second, or nil, which limits nothing, for none.
func newRate(perSecond int) *rate {
	if perSecond <= 0 {
		return nil
	}
	every := time.Second / time.Duration(perSecond)
	return &rate{
		every: every, burst: 2 * time.Second, policy: []string{fmt.Sprintf(`"client";q=%d;w=2`, 2*perSecond)},
		young: map[client]time.Time{}, old: map[client]time.Time{},
	}
}

// take takes a request from a client's bucket. It returns how many are left, and how long to wait if there was none.
func (r *rate) take(c client, now time.Time) (left int, wait time.Duration) {
	return r.look(c, now, true)
}

// look is take, which leaves the request there if it is only to be known.
func (r *rate) look(c client, now time.Time, take bool) (left int, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if age := now.Sub(r.born); age >= r.burst {
		clear(r.old)
		if age < 2*r.burst {
			r.young, r.old = r.old, r.young
		}
		clear(r.young)
		r.born = now
	}
	full, known := r.young[c]
	if !known {
		if full, known = r.old[c]; !known && len(r.young) >= maxClients {
			c = client{}
			full = r.young[c]
		}
	}
	if full.Before(now) {
		full = now
	}
	if wait = full.Add(r.every).Sub(now) - r.burst; wait > 0 {
		return 0, wait
	}
	if take {
		full = full.Add(r.every)
		r.young[c] = full
	}
	return int((r.burst - full.Sub(now)) / r.every), 0
}

// tooMany refuses a request for which the client has to wait.
func tooMany(wait time.Duration) *refusal {
	return &refusal{code: connect.CodeResourceExhausted, status: http.StatusTooManyRequests, after: wait, why: "too many requests: wait before the next one"}
}

// tell lets a client know that not more than half of what it may do at once is left, so that it can slow down of its own
// (draft-ietf-httpapi-ratelimit-headers). Before that nobody wants to know, and each header costs every answer.
func (r *rate) tell(header http.Header, left int, wait time.Duration) {
	if 2*time.Duration(left)*r.every > r.burst {
		return
	}
	state := `"client";r=` + strconv.Itoa(left)
	if wait > 0 {
		state += ";t=" + strconv.Itoa(seconds(wait))
	}
	header["Ratelimit-Policy"], header["Ratelimit"] = r.policy, []string{state} // As http.Header spells them.
}

// seconds returns whole seconds, rather too many than too few.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
