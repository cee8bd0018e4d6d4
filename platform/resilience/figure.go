package resilience

import "time"

// figures are how the policies are set. They are no settings; tests make them smaller.
type figures struct {
	// Attempts is how often a safe call is made at the most. Two more find a living replica where one has died; what is dead for longer
	// is the business of whoever called.
	Attempts int
	// Backoff is the pause before the second attempt; it doubles, up to MaxBackoff, and is jittered by half. It is of the length of a
	// reconnection, so that a call outlives the loss of a connection, and a customer does not notice.
	Backoff, MaxBackoff time.Duration
	// RetryShare is how much of a repetition every call earns, and RetrySaved how many can be saved up; a new set has RetryFloor of them.
	// One in ten is the figure of Google's SRE book (Handling Overload) and of gRPC (A6, tokenRatio). With the floor it stays below
	// one in five from the hundredth call on. What can be saved is what one replica loses when it dies at full width.
	RetryShare             float64
	RetrySaved, RetryFloor int

	// FailureRate of at least FailureCalls calls in FailureWindow opens the breaker: the half of 20 in 10 s, as in Resilience4j and Polly
	// but for the smaller window. Fewer calls than that do not need one.
	FailureRate   float64
	FailureCalls  uint
	FailureWindow time.Duration
	// OpenFor is how long nothing is asked, jittered by a quarter; then Probes must be answered, one after the other or side by side.
	// It is short because a restart is.
	OpenFor time.Duration
	Probes  uint
	// Patience is how long a call must have waited for its end to say something of the peer. Without it a client who waits for a
	// millisecond could open the breaker for everybody.
	Patience time.Duration

	// Wait is how long a call waits for a place in the bulkhead: a burst passes, a queue does not build up.
	Wait time.Duration
	// EdgeFactor is how many times more calls of a service the edge may have under way than a module: so a module that waits for another
	// comes to its own limit first, and refuses, while the edge has room for what else it does.
	EdgeFactor int
	// Streams is how many streams may be open at once: what the edge allows (platform/edge).
	Streams int

	// Lookup is how old the addresses of a name may be when it is used, and LookupTimeout how long a look-up may take.
	Lookup, LookupTimeout time.Duration
	// Dial bounds making a connection.
	Dial time.Duration
	// Aside is how long an address is set aside; it doubles with each failure, up to MaxAside.
	Aside, MaxAside time.Duration
	// Strikes is how many requests in a row that were not answered in time set an address aside: one is not the address's fault.
	Strikes int32
	// Behind is how many requests more than the address with the fewest one may have under way and still have its turn: what comes of
	// chance among equals.
	Behind int64
	// Addresses bounds those of a name.
	Addresses int
}

func standard() figures {
	return figures{
		Attempts: 3, Backoff: 50 * time.Millisecond, MaxBackoff: 500 * time.Millisecond,
		RetryShare: 0.1, RetrySaved: 100, RetryFloor: 10,
		FailureRate: 0.5, FailureCalls: 20, FailureWindow: 10 * time.Second, OpenFor: 2 * time.Second, Probes: 3, Patience: time.Second,
		Wait: 100 * time.Millisecond, EdgeFactor: 4, Streams: 2048,
		Lookup: 5 * time.Second, LookupTimeout: 2 * time.Second, Dial: 2 * time.Second,
		Aside: time.Second, MaxAside: 5 * time.Second, Strikes: 3, Behind: 8, Addresses: 256,
	}
}

const (
	// reserve is the share of what is left that a caller keeps to itself, at most maxReserve: enough to answer.
	reserve    = 20
	maxReserve = 100 * time.Millisecond
)

// told returns how long a callee is told to take, of what its caller has left.
func told(left time.Duration) time.Duration { return left - min(left/reserve, maxReserve) }

// part returns how much of the time an attempt gets: all of it if it is the last, and otherwise two thirds, so that what is slow and not
// dead has its time.
func part(left time.Duration, last bool) time.Duration {
	if last {
		return told(left)
	}
	return told(left) * 2 / 3
}
