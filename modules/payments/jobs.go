package payments

import (
	"context"
	"fmt"
)

// resolve sees an attempt through whose method was killed or got no answer.
type resolve struct {
	AttemptID string `json:"attempt_id"`
}

func (resolve) Kind() string { return "payments.resolve" }

// resolve repeats the call of the provider under the same key. It fails, and is so tried again later, until the outcome is known.
func (s *service) resolve(ctx context.Context, job resolve) error {
	row, err := s.finish(ctx, job.AttemptID)
	if err != nil {
		return err
	}
	if outcome(row.Outcome).open() {
		return fmt.Errorf("the outcome of attempt %s is not known yet", row.ID)
	}
	return nil
}
