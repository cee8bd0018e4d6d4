package edge

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers in which clients say how long they wait.
const (
	connectTimeout = "Connect-Timeout-Ms"
	grpcTimeout    = "Grpc-Timeout"
)

var grpcUnits = map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond}

// shorter returns how long a request may take: most, or less if its client waits less. A header that cannot be read is the module's to
// refuse.
func shorter(most time.Duration, header http.Header) time.Duration {
	text, unit := header.Get(connectTimeout), time.Millisecond
	if strings.HasPrefix(header.Get("Content-Type"), grpc) {
		if text = header.Get(grpcTimeout); text != "" {
			unit = grpcUnits[text[len(text)-1]]
			text = text[:len(text)-1]
		}
	}
	if text == "" {
		return most
	}
	// Neither protocol allows more than ten digits.
	n, err := strconv.ParseUint(text, 10, 34)
	if err != nil || unit == 0 || n > uint64(most/unit) {
		return most
	}
	return time.Duration(n) * unit
}

// tell lets a far module know how long the edge waits.
func tell(header http.Header, left time.Duration) {
	left = max(left, 0)
	if strings.HasPrefix(header.Get("Content-Type"), grpc) {
		header.Set(grpcTimeout, strconv.FormatInt(left.Milliseconds(), 10)+"m")
	} else {
		header.Set(connectTimeout, strconv.FormatInt(left.Milliseconds(), 10))
	}
}
