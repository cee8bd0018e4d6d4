package identity

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/argon2"
)

// The cost of a hash: one of the settings that OWASP's Password Storage Cheat Sheet advises for Argon2id. A hash says what it was made with,
// so that the cost can be raised. Until somebody has signed in again his is of another cost than that of nobody, and who measures a refusal
// learns that there is an account.
const (
	hashTime    = 2
	hashMemory  = 19 << 10 // KiB
	hashThreads = 1
	hashLength  = 32
	saltLength  = 16
	// maxWaiting bounds how many wait for their turn to be hashed.
	maxWaiting = 256
)

// errBusy says that too many passwords are being hashed.
var errBusy = errors.New("too many are signing in at the moment")

// hasher hashes passwords, at once no more of them than half the processors: each takes 19 MiB, and a flood shall leave the shop a processor.
type hasher struct {
	slots   chan struct{}
	waiting atomic.Int64
	dummy   string // A hash of nothing that anybody knows.
}

func newHasher() *hasher {
	h := &hasher{slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
	h.dummy = encodeHash(random(saltLength), random(hashLength))
	return h
}

// hash returns the hash of a password, in the form of the PHC string format.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	salt := random(saltLength)
	key, err := h.key(ctx, password, salt, hashTime, hashMemory, hashThreads)
	return encodeHash(salt, key), err
}

// verify reports whether a hash is of the password. For no hash it takes as long, and it is not.
func (h *hasher) verify(ctx context.Context, hash, password string) (bool, error) {
	known := hash != ""
	if !known {
		hash = h.dummy
	}
	var version int
	var memory, time uint32
	var threads uint8
	var text string
	if _, err := fmt.Sscanf(hash, "$argon2id$v=%d$m=%d,t=%d,p=%d$%s", &version, &memory, &time, &threads, &text); err != nil || version != argon2.Version || len(text) <= 22 || text[22] != '$' {
		return false, errors.New("a password hash cannot be read")
	}
	salt, saltErr := base64.RawStdEncoding.DecodeString(text[:22])
	want, wantErr := base64.RawStdEncoding.DecodeString(text[23:])
	if saltErr != nil || wantErr != nil {
		return false, errors.New("a password hash cannot be read")
	}
	got, err := h.key(ctx, password, salt, time, memory, threads)
	return err == nil && subtle.ConstantTimeCompare(got, want) == 1 && known, err
}

// key waits for its turn.
func (h *hasher) key(ctx context.Context, password string, salt []byte, time, memory uint32, threads uint8) ([]byte, error) {
	defer h.waiting.Add(-1)
	if h.waiting.Add(1) > maxWaiting {
		return nil, errBusy
	}
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-h.slots }()
	return argon2.IDKey([]byte(password), salt, time, memory, threads, hashLength), nil
}

// hashCost is how a hash begins that is made now.
var hashCost = fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$", argon2.Version, hashMemory, hashTime, hashThreads)

// fresh reports whether a hash was made at the cost of now.
func fresh(hash string) bool { return strings.HasPrefix(hash, hashCost) }

func encodeHash(salt, key []byte) string {
	return hashCost + base64.RawStdEncoding.EncodeToString(salt) + "$" + base64.RawStdEncoding.EncodeToString(key)
}

func random(length int) []byte {
	b := make([]byte, length)
	_, _ = rand.Read(b) // It does not fail: the process would end.
	return b
}
