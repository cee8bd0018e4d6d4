package job

import (
	"math/rand/v2"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// How a job that failed is tried again.
const (
	// maxPause caps River's pauses, which grow with the fourth power of the attempts in seconds and reach days. What fails is mostly
	// down, and must be done soon after it is back; an attempt in ten minutes harms nobody.
	maxPause = 10 * time.Minute
	// maxAttempts is about a day of such pauses. Who has not mended it by then must look, and the job is kept for him.
	maxAttempts = 150
)

// capped is River's retry policy with a longest pause.
type capped struct{ river.DefaultClientRetryPolicy }

// NextRetry returns when a job that has just failed is tried again.
func (p capped) NextRetry(job *rivertype.JobRow) time.Time {
	next := p.DefaultClientRetryPolicy.NextRetry(job)
	// Jobs that failed together are not tried again all at once.
	if latest := time.Now().Add(maxPause - rand.N(maxPause/10)); next.After(latest) {
		return latest
	}
	return next
}
