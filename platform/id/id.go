// Package id makes ids that explain themselves: a type prefix and a UUIDv7, for instance ord_0193a1b2c3d47e8f9a0b1c2d3e4f5a6b. Ids
// of one type sort by the time they were made, to the millisecond.
package id

import (
	"encoding/hex"

	"github.com/google/uuid"
)

// New returns a new id with the prefix, which is given without the underscore.
func New(prefix string) string {
	u := uuid.Must(uuid.NewV7()) // Fails only if the machine has no randomness left.
	var room [48]byte            // Enough for every prefix, so that nothing but the id is allocated.
	return string(hex.AppendEncode(append(append(room[:0], prefix...), '_'), u[:]))
}
