package edge

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"connectrpc.com/connect"
)

// CorrelationHeader carries the correlation id: a client may choose one, and every answer has it.
const CorrelationHeader = "X-Correlation-Id"

// secure sets the headers of every answer that keep a browser from doing more with it than to show it to its program. A page that is
// meant for people replaces those that stand in its way.
func secure(header http.Header, r *http.Request) {
	for _, s := range secured {
		header[s.name] = s.values
	}
	// A browser keeps this for the name without its port, so for localhost it would shut out everything else on a developer's machine.
	if r.TLS != nil && !loopback(r.Host) {
		header.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	}
}

// loopback reports whether a host, with a port or without, is the machine of whoever asks for it.
func loopback(host string) bool {
	name := strings.ToLower(strings.TrimSuffix((&url.URL{Host: host}).Hostname(), "."))
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || addressOf(name).IsLoopback()
}

// secured are shared by all answers: whoever sets one for his own replaces it.
var secured = []struct {
	name   string // As http.Header spells it.
	values []string
}{
	{"Cache-Control", []string{"no-store"}},
	{"Content-Security-Policy", []string{"default-src 'none'; frame-ancestors 'none'"}},
	{"Cross-Origin-Resource-Policy", []string{"same-origin"}},
	{"Referrer-Policy", []string{"no-referrer"}},
	{"X-Content-Type-Options", []string{"nosniff"}},
}

// checkHeader refuses headers that no honest client sends. What is larger still the server refuses itself.
func (e *Edge) checkHeader(header http.Header) *refusal {
	lines, size := 0, 0
	for name, values := range header {
		lines += len(values)
		for _, value := range values {
			size += len(name) + len(value) + 4 // The colon, a space and the end of the line.
		}
	}
	if lines > e.limits.HeaderLines || size > e.limits.HeaderBytes {
		return &refusal{code: connect.CodeResourceExhausted, status: http.StatusRequestHeaderFieldsTooLarge,
			why: fmt.Sprintf("the headers are more than %d lines or %d bytes", e.limits.HeaderLines, e.limits.HeaderBytes)}
	}
	return nil
}

// passed are the headers of a request that are for the module. Everything else, tokens and cookies among it, is for the edge or for
// nobody. So nothing that a client names in Connection can take away what the edge adds.
var passed = map[string]bool{
	"Accept": true, "Accept-Encoding": true, "Connect-Accept-Encoding": true, "Connect-Content-Encoding": true, "Connect-Protocol-Version": true,
	"Connect-Timeout-Ms": true, "Content-Encoding": true, "Content-Type": true, "Grpc-Accept-Encoding": true, "Grpc-Encoding": true,
	"Grpc-Timeout": true, "Te": true, "User-Agent": true, "X-Grpc-Web": true, "X-User-Agent": true,
}

// passOn returns the headers that the module sees.
func passOn(header http.Header) http.Header {
	kept := http.Header{}
	for name, values := range header {
		if passed[name] {
			kept[name] = values
		}
	}
	return kept
}
