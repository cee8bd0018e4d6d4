package job

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/riverqueue/river/rivertype"
)

// A job is tried again soon after what it needs is back, and given up after about a day.
func TestPausesGrowButNotForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		var row rivertype.JobRow
		var all time.Duration
		for attempt := 1; attempt < maxAttempts; attempt++ {
			pause := capped{}.NextRetry(&row).Sub(now)
			if attempt == 1 && pause > 2*time.Second {
				t.Errorf("the first pause is %s, want about a second", pause)
			}
			if attempt > 10 && pause < 9*time.Minute || pause > 10*time.Minute {
				t.Errorf("the pause after %d attempts is %s, want at most ten minutes", attempt, pause)
			}
			all += pause
			row.Errors = append(row.Errors, rivertype.AttemptError{})
		}
		if all < 20*time.Hour || all > 28*time.Hour {
			t.Errorf("a job is given up after %s, want about a day", all)
		}
	})
}
