package auth

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/cleave-go/cleave/platform/rpc"
)

// maxVerified bounds how many tokens are remembered in each half of a [cache].
const maxVerified = 5000

// cache remembers tokens that were good, by their hash: to verify a signature costs as much as everything else that the edge does. It
// belongs to one set of keys and is forgotten with it.
//
// It has two halves. When the younger one is full it becomes the older one, which is forgotten: what is used is taken over in time.
type cache struct {
	mu           sync.Mutex
	young, older map[[sha256.Size]byte]verified
}

// verified is a good token.
type verified struct {
	principal rpc.Principal // Its slices are shared and never changed.
	until     time.Time
}

// get returns whose the token is, if it is remembered and has not expired.
func (c *cache) get(sum [sha256.Size]byte, now time.Time) (rpc.Principal, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.young[sum]
	if !ok {
		if found, ok = c.older[sum]; ok {
			c.keep(sum, found)
		}
	}
	return found.principal, ok && now.Before(found.until)
}

// put remembers a good token.
func (c *cache) put(sum [sha256.Size]byte, principal rpc.Principal, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(sum, verified{principal, until})
}

func (c *cache) keep(sum [sha256.Size]byte, v verified) {
	if c.young == nil || len(c.young) >= maxVerified {
		c.young, c.older = map[[sha256.Size]byte]verified{}, c.young
	}
	c.young[sum] = v
}
