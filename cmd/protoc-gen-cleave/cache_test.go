package main

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"

	platformv1 "github.com/cleave-go/cleave/gen/cleave/platform/v1"
)

// TestWrongCache holds that nothing can be declared cacheable which is not for everyone.
func TestWrongCache(t *testing.T) {
	t.Parallel()
	anyone := &platformv1.Access{Visibility: platformv1.Visibility_VISIBILITY_PUBLIC, Who: platformv1.Who_WHO_ANYONE}
	reads := &descriptorpb.MethodOptions{IdempotencyLevel: descriptorpb.MethodOptions_NO_SIDE_EFFECTS.Enum()}
	writes := &descriptorpb.MethodOptions{IdempotencyLevel: descriptorpb.MethodOptions_IDEMPOTENT.Enum()}
	for _, c := range []struct {
		name    string
		age     time.Duration
		access  *platformv1.Access
		options *descriptorpb.MethodOptions
		stream  bool
		says    string // "" if nothing is wrong.
	}{
		{"a read for all", time.Minute, anyone, reads, false, ""},
		{"signed in", time.Minute, &platformv1.Access{Visibility: anyone.GetVisibility(), Who: platformv1.Who_WHO_SIGNED_IN}, reads, false, "WHO_ANYONE"},
		{"internal", time.Minute, &platformv1.Access{Visibility: platformv1.Visibility_VISIBILITY_INTERNAL}, reads, false, "WHO_ANYONE"},
		{"no rule", time.Minute, nil, reads, false, "WHO_ANYONE"},
		{"a write", time.Minute, anyone, writes, false, "NO_SIDE_EFFECTS"},
		{"nothing said of effects", time.Minute, anyone, nil, false, "NO_SIDE_EFFECTS"},
		{"a stream", time.Minute, anyone, reads, true, "stream"},
		{"no age", 0, anyone, reads, false, "max_age"},
		{"half a second", time.Second / 2, anyone, reads, false, "max_age"},
		{"a week", 7 * 24 * time.Hour, anyone, reads, false, "max_age"},
	} {
		err := checkCache(&platformv1.Cache{MaxAge: durationpb.New(c.age)}, c.access, proto.CloneOf(c.options), c.stream)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.says)
		}
	}
}
