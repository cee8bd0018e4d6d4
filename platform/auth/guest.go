package auth

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/cleave-go/cleave/platform/rpc"
)

const (
	// guestScheme begins the secret of a guest where others have a token. No JWT begins so: its first part is a JSON object.
	guestScheme = "guest_"
	// guestSecret is how long such a secret is, in bytes.
	guestSecret = 32
	// variety is how many different bytes it has at least. Of one that was drawn by chance far more are different; one that has fewer was
	// made up, and somebody else can make it up, too.
	variety = 16
)

// WithGuests takes who shows the secret of a guest for that guest, and asks authenticate about everybody else.
//
// A guest draws his secret himself, and it is written down nowhere in the house: he is known by its hash, which nobody can make a secret
// of. So what a guest has begun belongs to whoever has the secret, and nobody has to be told that there is such a guest.
func WithGuests(authenticate func(*http.Request) (rpc.Principal, error)) func(*http.Request) (rpc.Principal, error) {
	return func(r *http.Request) (rpc.Principal, error) {
		text, err := bearer(r.Header)
		secret, isGuest := strings.CutPrefix(text, guestScheme)
		if err != nil || !isGuest {
			return authenticate(r)
		}
		drawn, err := base64.RawURLEncoding.Strict().DecodeString(secret)
		if err != nil || len(drawn) != guestSecret {
			return rpc.Principal{}, invalid("the secret of a guest is guest_ and 32 bytes in base64url, without padding")
		}
		different := map[byte]bool{}
		for _, b := range drawn {
			different[b] = true
		}
		if len(different) < variety {
			return rpc.Principal{}, invalid("the secret of a guest is 32 bytes that were drawn by chance, not made up")
		}
		sum := sha256.Sum256(drawn)
		return rpc.Principal{Subject: rpc.GuestPrefix + hex.EncodeToString(sum[:16])}, nil
	}
}
