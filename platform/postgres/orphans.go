package postgres

import (
	"context"
	"errors"
	"time"
)

// errOrphans says that processes of a killed server still use its memory. They notice by themselves that it is gone,
// usually within milliseconds, but not before the end of a statement.
var errOrphans = errors.New("processes of an earlier server, which was killed, still run")

// patience is how long a start waits for them.
const patience = 10 * time.Second

// outwait launches a server again until the orphans of an earlier one are gone or the patience is.
func outwait(ctx context.Context, launch func() (*process, endpoint, error)) (*process, endpoint, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		proc, at, err := launch()
		if !errors.Is(err, errOrphans) {
			return proc, at, err
		}
		retry := time.NewTimer(100 * time.Millisecond)
		select {
		case <-retry.C:
		case <-ctx.Done():
			retry.Stop()
			return proc, at, err
		}
	}
}
