package postgres

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// command is a program of PostgreSQL that runs as the user and dies with its children when ctx ends.
func command(ctx context.Context, a *account, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	prepareCommand(cmd, a)
	cmd.Cancel = func() error { return killGroup(cmd) }
	// A grandchild that survives holds the output open; it is not waited for.
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// prepareCommand sets what all programs of PostgreSQL need.
func prepareCommand(cmd *exec.Cmd, a *account) {
	cmd.SysProcAttr = a.attributes()
	cmd.Env = environment()
	// The user may be unable to enter the folder that this process is in.
	cmd.Dir = filepath.Dir(cmd.Path)
}

// environment is that of this process without what would change PostgreSQL's behaviour from machine to machine. A time
// zone also spares initdb the search for the machine's.
func environment() []string {
	var env []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "PG") || strings.HasPrefix(name, "LC_") || name == "LANG" || name == "LANGUAGE" || name == "TZ" {
			continue
		}
		env = append(env, entry)
	}
	return append(env, "LC_ALL=C", "TZ=UTC")
}
