package identity

import (
	"crypto/sha256"
	"encoding/base64"
)

// newSecret returns what only its holder shall know – a cookie, a code, a token – and the hash by which it is found again. It has 256 bits
// from the system, so that a plain hash is enough.
func newSecret() (text string, hash []byte) {
	text = base64.RawURLEncoding.EncodeToString(random(32))
	return text, hashSecret(text)
}

func hashSecret(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}
