package db

import (
	"strings"
	"testing"
)

// The server may write statements to its log, so none may hold a password. That the verifier lets the module's role log in is shown by
// every test that opens a database.
func TestVerifierTellsNoPassword(t *testing.T) {
	t.Parallel()
	got := verifier("hunter2")
	if !strings.HasPrefix(got, "SCRAM-SHA-256$4096:") || strings.Contains(got, "hunter2") {
		t.Errorf("the verifier is %q", got)
	}
	if again := verifier("hunter2"); again == got {
		t.Error("two verifiers of one password are the same: the salt is not random")
	}
}
