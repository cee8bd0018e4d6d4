package mtls

import (
	"log/slog"
	"time"
)

// MaxAge is for how long a transport uses a connection for new requests.
const MaxAge = maxAge

// OpenAt is Open with a clock.
func OpenAt(files Files, trustDomain string, check func(ID) error, log *slog.Logger, now func() time.Time) (*Source, error) {
	return open(&Source{files: files, trustDomain: trustDomain, check: check, log: log, now: now})
}

// Look looks at the files once.
func (s *Source) Look() { s.look() }
