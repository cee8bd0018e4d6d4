package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// EncodePrincipal returns the principal as text for [DecodePrincipal]; "" for nobody. It is at most twice as long as what stands in it, and
// a few bytes for each: a token bounds the headers of the calls that are made with it.
func EncodePrincipal(p Principal) string {
	if p.Anonymous() {
		return ""
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // It would make six bytes of one.
	_ = encoder.Encode(p)        // Strings can always be encoded.
	return strings.TrimSuffix(text.String(), "\n")
}

// DecodePrincipal reads what [EncodePrincipal] wrote. What it cannot read is an error, because nobody may lose or gain rights by it.
func DecodePrincipal(text string) (Principal, error) {
	var p Principal
	if text == "" {
		return p, nil
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return Principal{}, fmt.Errorf("decode principal: %w", err)
	}
	return p, nil
}

// origin is what of a call's metadata outlives the call.
type origin struct {
	Principal     *Principal `json:"principal,omitempty"`
	CorrelationID string     `json:"correlation_id,omitempty"`
	Trace         string     `json:"trace,omitempty"`
}

// Origin returns, as a JSON object, on whose behalf and in which piece of business the call that ctx belongs to is made, for work that
// goes on when the call has ended: in a job, or in another process. [WithOrigin] reads it. It holds no personal data but ids.
func Origin(ctx context.Context) []byte {
	metadata := MetadataOf(ctx)
	o := origin{CorrelationID: metadata.CorrelationID, Trace: metadata.Trace}
	if !metadata.Principal.Anonymous() {
		o.Principal = &metadata.Principal
	}
	text, _ := json.Marshal(o) // Strings can always be encoded.
	return text
}

// WithOrigin returns a context whose calls are made on behalf of whom text says, which [Origin] has written. Empty text says nobody.
func WithOrigin(ctx context.Context, text []byte) (context.Context, error) {
	var o origin
	if len(text) > 0 {
		if err := json.Unmarshal(text, &o); err != nil {
			return nil, fmt.Errorf("read on whose behalf this is done: %w", err)
		}
	}
	metadata := Metadata{CorrelationID: o.CorrelationID, Trace: o.Trace}
	if o.Principal != nil {
		metadata.Principal = *o.Principal
	}
	return WithMetadata(ctx, metadata), nil
}
