package auth

import (
	"context"
	"crypto"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	// How long keys are kept before they are fetched again: what the issuer says, within bounds. A key that the issuer has withdrawn is
	// good for no longer than the upper one.
	minFresh   = time.Minute
	usualFresh = 10 * time.Minute
	maxFresh   = time.Hour
	// keepStale is how long keys are believed that cannot be fetched again.
	keepStale = 12 * time.Hour
	// fetchPause is the least time between two fetches that tokens with unknown keys cause, so that nobody can make this process
	// hammer the issuer. Who has such a token waits for as long: it may be one of a key that is new.
	fetchPause = 3 * time.Second
	// maxWaiting bounds how many calls wait for a fetch. Others are unavailable at once.
	maxWaiting = 1000
	// After a failure fetches begin again after minRetry, and then after twice as long each time, at most maxRetry.
	minRetry = time.Second
	maxRetry = 10 * time.Second
)

// keySet is what the issuer published at one time. It does not change, but for what was verified with it.
type keySet struct {
	keys     map[string][]jose.JSONWebKey // By id.
	fetched  time.Time
	verified *cache
}

// keyring keeps the keys of an issuer. One goroutine fetches them: when they are old, and when a token comes whose key is unknown.
type keyring struct {
	issuer   *issuer
	log      *slog.Logger
	born     time.Time
	failures prometheus.Counter

	current atomic.Pointer[keySet] // Nil until they have been fetched.
	stopped context.Context
	stopNow context.CancelFunc
	done    chan struct{} // Closed when the goroutine has ended.
	wanted  chan struct{} // Asks for a fetch before it is due.

	mu      sync.Mutex
	running bool
	waiting int           // How many wait for a fetch.
	ended   chan struct{} // Closed when the fetch that runs, or else the next one, has ended.
	failed  bool          // The latest fetch has.
}

func newKeyring(i *issuer, log *slog.Logger) *keyring {
	k := &keyring{issuer: i, log: log, born: time.Now(), failures: newKeyFailures(), done: make(chan struct{}), wanted: make(chan struct{}, 1), ended: make(chan struct{})}
	k.stopped, k.stopNow = context.WithCancel(context.Background())
	return k
}

// set returns the keys, or nil if there are none that may still be believed.
func (k *keyring) set() *keySet {
	if set := k.current.Load(); set != nil && time.Since(set.fetched) < keepStale {
		return set
	}
	return nil
}

// failing reports whether the latest fetch has failed.
func (k *keyring) failing() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.failed
}

// of returns the keys with an id, and the set that they are of. For an id that is not known it waits for a fetch; it returns no keys if
// the issuer does not publish such. The error unavailable means that nobody can tell.
func (k *keyring) of(ctx context.Context, keyID string) (*keySet, []jose.JSONWebKey, error) {
	for looked := false; ; {
		set := k.set()
		switch {
		case set != nil && len(set.keys[keyID]) > 0:
			return set, set.keys[keyID], nil
		case k.failing():
			return nil, nil, unavailable()
		case looked:
			return set, nil, nil
		}
		var err error
		if looked, err = k.await(ctx); err != nil {
			return nil, nil, err
		}
	}
}

// await waits for a fetch: the one that runs, or else another one, for which it asks. It reports whether that was one which began after
// the call: another may have begun before the issuer published a key.
func (k *keyring) await(ctx context.Context) (after bool, err error) {
	k.mu.Lock()
	ended, running := k.ended, k.running
	if k.waiting >= maxWaiting {
		k.mu.Unlock()
		return false, unavailable()
	}
	k.waiting++
	if !running {
		select {
		case k.wanted <- struct{}{}:
		default: // Somebody has asked already.
		}
	}
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.waiting--
	}()
	select {
	case <-ended:
		return !running, nil
	case <-ctx.Done():
	case <-k.stopped.Done():
	}
	return false, unavailable()
}

// run fetches the keys until the keyring is stopped.
func (k *keyring) run() {
	defer close(k.done)
	var asked time.Time // When a token has last caused a fetch.
	for failures := 0; ; {
		k.begin()
		wait, err := k.fetch()
		k.end(err)
		if err == nil {
			failures = 0
		} else {
			wait = min(minRetry<<min(failures, 5), maxRetry)
			failures++
		}
		select {
		case <-time.After(wait):
		case <-k.wanted:
			select {
			case <-time.After(fetchPause - time.Since(asked)):
			case <-k.stopped.Done():
			}
			asked = time.Now()
		case <-k.stopped.Done():
		}
		if k.stopped.Err() != nil {
			return
		}
	}
}

// stop ends run, and waits until it has.
func (k *keyring) stop() {
	k.stopNow()
	<-k.done
	k.issuer.client.CloseIdleConnections()
}

func (k *keyring) begin() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.running = true
	select {
	case <-k.wanted: // This is the fetch that was asked for.
	default:
	}
}

func (k *keyring) end(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.running, k.failed = false, err != nil
	close(k.ended)
	k.ended = make(chan struct{})
}

// fetch fetches the keys, and returns when to do so again.
func (k *keyring) fetch() (fresh time.Duration, err error) {
	before := k.current.Load()
	keys, fresh, err := k.issuer.fetch(k.stopped)
	if err != nil {
		if k.stopped.Err() == nil {
			k.failures.Inc()
		}
		switch {
		case k.stopped.Err() != nil:
		case before == nil:
			k.log.Warn("the keys of the issuer of tokens cannot be fetched: calls with a token fail until they can", "issuer", k.issuer.url, "error", err)
		default:
			k.log.Warn("the keys of the issuer of tokens cannot be fetched again: the old ones stay good for a while", "issuer", k.issuer.url, "error", err,
				"until", before.fetched.Add(keepStale).UTC())
		}
		return 0, err
	}
	set := &keySet{keys: keys, fetched: time.Now(), verified: &cache{}}
	if before != nil && maps.EqualFunc(keys, before.keys, same) {
		set.verified = before.verified
	} else {
		k.log.Info("the issuer of tokens has keys that are new here", "issuer", k.issuer.url, "keys", strings.Join(slices.Sorted(maps.Keys(keys)), " "))
	}
	k.current.Store(set)
	if fresh < 0 {
		fresh = usualFresh
	}
	return min(max(fresh, minFresh), maxFresh), nil
}

// same reports whether two lists hold the same keys.
func same(a, b []jose.JSONWebKey) bool {
	return slices.EqualFunc(a, b, func(a, b jose.JSONWebKey) bool {
		one, err := a.Thumbprint(crypto.SHA256)
		other, otherErr := b.Thumbprint(crypto.SHA256)
		return err == nil && otherErr == nil && a.Algorithm == b.Algorithm && slices.Equal(one, other)
	})
}
