package verify

import (
	"fmt"
	"time"
)

// overview is what the operator's port of a process says of the jobs of a module, at /jobs.json.
type overview struct {
	Module  string    `json:"module"`
	Now     time.Time `json:"now"`
	Problem string    `json:"problem"`
	States  []struct {
		Name  string `json:"name"`
		Count int    `json:"count"`
		Jobs  []struct {
			ID          int64     `json:"id"`
			Kind        string    `json:"kind"`
			Attempt     int       `json:"attempt"`
			ScheduledAt time.Time `json:"scheduled_at"`
			AttemptedAt time.Time `json:"attempted_at"`
			LastError   string    `json:"last_error"`
		} `json:"jobs"`
	} `json:"states"`
}

// refusedEvent is the kind of job of an event that a subscriber has refused, which is looked at as an event.
const refusedEvent = "platform.deliver_event"

// jobs checks what a module owes itself. The overview names the first of each state, those that are due,
// or worked, for the longest time first.
func (b *book) jobs(o *overview) {
	for _, state := range o.States {
		for _, j := range state.Jobs {
			subject := fmt.Sprintf("%s %d", o.Module, j.ID)
			switch state.Name {
			case "discarded":
				b.check(jobKept, subject, j.Kind == refusedEvent, "job %d of %s (%s) has failed %d times and is kept: %s", j.ID, o.Module, j.Kind, j.Attempt, j.LastError)
			case "available", "retryable", "scheduled":
				late := o.Now.Sub(j.ScheduledAt)
				b.check(jobOverdue, subject, late <= 0 || late < b.deadline, "job %d of %s (%s) is due since %s and nobody works it", j.ID, o.Module, j.Kind, ago(late))
			case "running":
				lasts := o.Now.Sub(j.AttemptedAt)
				b.check(jobOverdue, subject, lasts < max(b.deadline, time.Second), "job %d of %s (%s) is being worked since %s: see the page /jobs of its operator's port",
					j.ID, o.Module, j.Kind, ago(lasts))
			}
		}
		if hidden := state.Count - len(state.Jobs); state.Name == "discarded" && hidden > 0 {
			b.add(jobKept, o.Module, "%s keeps %d more jobs, or refused events: see the page /jobs of its operator's port", o.Module, hidden)
		}
	}
}
