package edge

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cleave-go/cleave/platform/rpc"
)

// got reports whether a request was made with GET or HEAD: also one of REST, whose inner request is a POST.
func got(a *answer, r *http.Request) bool {
	if rest, ok := a.ResponseWriter.(*restAnswer); ok {
		r = rest.request
	}
	return r.Method == http.MethodGet || r.Method == http.MethodHead
}

// kept is the answer of a method whose answers may be kept, by whoever sees them. It is held back until it is whole, because what
// distinguishes it, the ETag, goes before it. What is no success, or is longer than any message, goes through as it comes, and is not kept.
type kept struct {
	http.ResponseWriter
	request *http.Request
	maxAge  time.Duration

	passing bool
	body    bytes.Buffer
}

func (k *kept) WriteHeader(status int) {
	if status == http.StatusOK && !k.passing {
		return
	}
	k.passing = k.passing || status > http.StatusOK
	k.ResponseWriter.WriteHeader(status)
}

func (k *kept) Write(p []byte) (int, error) {
	if !k.passing && k.body.Len()+len(p) <= rpc.MaxMessageBytes {
		return k.body.Write(p)
	}
	if !k.passing {
		k.passing = true
		if _, err := k.ResponseWriter.Write(k.body.Bytes()); err != nil {
			return 0, err
		}
	}
	return k.ResponseWriter.Write(p)
}

// FlushError keeps a proxy from sending what is held back.
func (k *kept) FlushError() error { return nil }

// finish answers with what was held back, or says that the client has it already.
func (k *kept) finish() {
	if k.passing {
		return
	}
	header := k.Header()
	tag := k.tag()
	header.Set("ETag", tag)
	header.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(k.maxAge/time.Second)))
	if !lists(header.Values("Vary"), "Accept-Encoding") {
		header.Add("Vary", "Accept-Encoding")
	}
	// They are of one caller.
	header.Del("Ratelimit")
	header.Del("Ratelimit-Policy")
	if lists(k.request.Header.Values("If-None-Match"), tag, "W/"+tag, "*") {
		for _, name := range []string{"Content-Type", "Content-Length", "Content-Encoding"} {
			header.Del(name)
		}
		k.ResponseWriter.WriteHeader(http.StatusNotModified)
		return
	}
	header.Set("Content-Length", strconv.Itoa(k.body.Len()))
	k.ResponseWriter.WriteHeader(http.StatusOK)
	_, _ = k.ResponseWriter.Write(k.body.Bytes()) // Nobody is left to be told.
}

// tag distinguishes the answer from every other of the method, byte for byte and in its encoding.
func (k *kept) tag() string {
	hash := sha256.New()
	fmt.Fprintf(hash, "%s\n%s\n", k.Header().Get("Content-Type"), k.Header().Get("Content-Encoding"))
	hash.Write(k.body.Bytes())
	return `"` + base64.RawURLEncoding.EncodeToString(hash.Sum(nil)[:16]) + `"`
}

// lists reports whether one of the words is in a header that is a list.
func lists(values []string, words ...string) bool {
	for _, value := range values {
		for each := range strings.SplitSeq(value, ",") {
			for _, word := range words {
				if strings.EqualFold(strings.TrimSpace(each), word) {
					return true
				}
			}
		}
	}
	return false
}
