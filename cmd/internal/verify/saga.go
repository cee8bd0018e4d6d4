package verify

import (
	"time"

	sagav1 "github.com/cleave-go/cleave/gen/cleave/platform/saga/v1"
)

// unattended is how long a saga may be due before nobody seems to look after it.
const unattended = time.Minute

// saga checks a saga that is open.
func (b *book) saga(module string, s *sagav1.Saga) {
	idle, late := s.GetSinceProgress().AsDuration(), -s.GetDueIn().AsDuration()
	direction := "do"
	if s.GetBack() {
		direction = "undo"
	}
	last := ""
	if note := s.GetLast().GetNote(); note != "" {
		last = ": " + note
	}
	stuck := s.GetState() == sagav1.State_STATE_STUCK
	b.check(sagaStuck, s.GetId(), !stuck, "%s %s of %s is stuck at %s %s since %s%s: see cleave sagas show %s",
		s.GetKind(), s.GetId(), module, direction, none(s.GetStep()), ago(idle), last, s.GetId())
	// Also if it is stuck: who has seen it late, and a moment later given up, still sees the same thing wrong, so that it counts.
	b.check(sagaOpen, s.GetId(), idle < b.deadline, "%s %s of %s has not got on for %s at %s %s, after %d attempts%s: see cleave sagas show %s",
		s.GetKind(), s.GetId(), module, ago(idle), direction, none(s.GetStep()), s.GetAttempt(), last, s.GetId())
	b.check(sagaOverdue, s.GetId(), s.GetDueIn() == nil || late < min(unattended, max(b.deadline, time.Second)),
		"%s %s of %s was due %s ago at %s %s, and nobody looks after it", s.GetKind(), s.GetId(), module, ago(late), direction, none(s.GetStep()))
}
