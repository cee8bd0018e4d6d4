package identity

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// keySetting has what the signing keys are encrypted with in the database.
const keySetting = "CLEAVE_IDENTITY_KEY"

// sealed is the first byte of what is encrypted. That of PKCS #8 is another.
const sealed = 1

// plainly stands for a key in the first place, and says that nothing is encrypted yet, or any more.
const plainly = "plain"

// vault encrypts the private halves of the signing keys, by AES-256-GCM. The first key encrypts, and all of them decrypt; without any, or if the
// first is nil, they are kept as they are.
type vault []cipher.AEAD

// openVault reads keys of 32 bytes in base64, with space between them.
func openVault(text string) (vault, error) {
	var v vault
	for i, word := range strings.Fields(text) {
		if i == 0 && word == plainly {
			v = append(v, nil)
			continue
		}
		key, err := base64.StdEncoding.DecodeString(word)
		if err != nil || len(key) != 32 {
			return nil, fmt.Errorf("key %d is not 32 bytes in base64: make one with openssl rand -base64 32", i+1)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		v = append(v, aead)
	}
	return v, nil
}

// plain reports whether keys are kept as they are.
func (v vault) plain() bool { return len(v) == 0 || v[0] == nil }

// seal returns what is kept of a signing key. What is encrypted for one key's id is not that of another.
func (v vault) seal(keyID string, private []byte) []byte {
	if v.plain() {
		return private
	}
	return v[0].Seal([]byte{sealed}, nil, private, []byte(keyID))
}

// open returns the private half of a signing key, and whether it is kept as seal would now.
func (v vault) open(keyID string, kept []byte) (private []byte, current bool, err error) {
	if len(kept) == 0 || kept[0] != sealed {
		return kept, v.plain(), nil
	}
	for i, aead := range v {
		if aead == nil {
			continue
		}
		if private, err := aead.Open(nil, nil, kept[1:], []byte(keyID)); err == nil {
			return private, i == 0, nil
		}
	}
	return nil, false, errors.New("it is encrypted with a key that " + keySetting + " does not have: add that one to it")
}
