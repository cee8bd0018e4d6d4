package main

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	platformv1 "github.com/cleave-go/cleave/gen/cleave/platform/v1"
)

// TestWrongSession holds that nothing can be declared to tell who is signed in which the edge would not understand, or others could ask.
func TestWrongSession(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		service, method, cookie string
		says                    string // "" if nothing is wrong.
	}{
		{"BrowserService", "ReadSession", "cleave_session", ""},
		{"ParityService", "Browse", "cleave_session", "VISIBILITY_INTERNAL"},
		{"AccessService", "Inside", "cleave_session", "NO_SIDE_EFFECTS"},
		{"ParityService", "Look", "cleave_session", "one field, of bytes"},
		{"BrowserService", "ReadSession", "", "is not called cleave_"},
		{"BrowserService", "ReadSession", "session", "is not called cleave_"},
		{"BrowserService", "ReadSession", "__Host-cleave_session", "is not called cleave_"},
	} {
		method := parityv1.File_cleave_platform_parity_v1_parity_proto.Services().ByName(protoreflect.Name(c.service)).Methods().ByName(protoreflect.Name(c.method))
		if got := wrongSession(method, &platformv1.Session{Cookie: c.cookie}); (got == "") != (c.says == "") || !strings.Contains(got, c.says) {
			t.Errorf("%s, %q: got %q, want %q", c.method, c.cookie, got, c.says)
		}
	}
}
