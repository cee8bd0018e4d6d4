package rpc

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
)

// Metadata is all that travels with a call besides the request.
type Metadata struct {
	// Principal is on whose behalf the call is made.
	Principal Principal
	// CorrelationID joins everything that belongs to one piece of business. A client may choose it.
	CorrelationID string
	// RequestID names one request at the public door. The edge chooses it.
	RequestID string
	// Trace is the W3C traceparent.
	Trace string
	// Caller is the module that makes the call; the edge is "edge". The seam sets it.
	Caller string
}

// Principal is a person or a program in whose name something is done. The zero value is nobody: an anonymous visitor.
type Principal struct {
	// Subject is the id, for instance "usr_…". Empty means nobody.
	Subject string   `json:"sub"`
	Roles   []string `json:"roles,omitempty"`
	// Scopes are what the token allows that the principal came with.
	Scopes []string `json:"scopes,omitempty"`
}

// clone returns a principal that shares no memory with p. No roles and no scopes are nil, as they are after a network.
func (p Principal) clone() Principal {
	p.Roles = append([]string(nil), p.Roles...)
	p.Scopes = append([]string(nil), p.Scopes...)
	return p
}

// Anonymous reports whether the principal is nobody.
func (p Principal) Anonymous() bool { return p.Subject == "" }

// The headers that carry [Metadata] over a network. The edge removes those that a client sends.
const (
	headerPrincipal     = "Cleave-Principal"
	headerCaller        = "Cleave-Caller"
	headerRequestID     = "Cleave-Request-Id"
	headerCorrelationID = "Cleave-Correlation-Id"
	headerTrace         = "Traceparent"
)

// maxID bounds the ids in [Metadata], in bytes.
const maxID = 128

// ValidID reports whether s can be a correlation or request id: 1 to 128 visible ASCII characters.
func ValidID(s string) bool {
	if s == "" || len(s) > maxID {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// Encode sets the headers that carry the metadata, and removes those that carry none.
func (m Metadata) Encode(header http.Header) error {
	set := func(name, value string) {
		if value == "" {
			header.Del(name)
		} else {
			header.Set(name, value)
		}
	}
	set(headerPrincipal, base64.RawURLEncoding.EncodeToString([]byte(EncodePrincipal(m.Principal))))
	for name, value := range map[string]string{
		headerCaller: m.Caller, headerRequestID: m.RequestID, headerCorrelationID: m.CorrelationID, headerTrace: m.Trace,
	} {
		if value != "" && !ValidID(value) {
			value = ""
		}
		set(name, value)
	}
	return nil
}

// DecodeMetadata reads what [Metadata.Encode] wrote. Ids that are not valid are dropped; a principal that cannot be read is an
// error, because nobody may lose or gain rights by it.
func DecodeMetadata(header http.Header) (Metadata, error) {
	id := func(name string) string {
		if value := header.Get(name); ValidID(value) {
			return value
		}
		return ""
	}
	m := Metadata{
		CorrelationID: id(headerCorrelationID), RequestID: id(headerRequestID), Trace: id(headerTrace), Caller: id(headerCaller),
	}
	if encoded := header.Get(headerPrincipal); encoded != "" {
		text, err := base64.RawURLEncoding.DecodeString(encoded)
		if err != nil {
			return Metadata{}, fmt.Errorf("decode principal: %w", err)
		}
		if m.Principal, err = DecodePrincipal(string(text)); err != nil {
			return Metadata{}, err
		}
	}
	return m, nil
}

// CallerOf returns which module the headers say that it calls, as [DecodeMetadata] does: for whoever decides whether to believe it.
func CallerOf(header http.Header) string {
	if caller := header.Get(headerCaller); ValidID(caller) {
		return caller
	}
	return ""
}

// normal drops what [Metadata.Encode] would drop, so that a call in this process carries the same as one over a network.
func (m Metadata) normal() Metadata {
	for _, id := range []*string{&m.Caller, &m.RequestID, &m.CorrelationID, &m.Trace} {
		if *id != "" && !ValidID(*id) {
			*id = ""
		}
	}
	if m.Principal.Anonymous() {
		m.Principal = Principal{}
		return m
	}
	m.Principal.Subject = strings.ToValidUTF8(m.Principal.Subject, "\uFFFD")
	m.Principal = m.Principal.clone()
	for _, list := range [][]string{m.Principal.Roles, m.Principal.Scopes} {
		for i, text := range list {
			list[i] = strings.ToValidUTF8(text, "\uFFFD")
		}
	}
	return m
}
