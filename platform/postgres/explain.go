package postgres

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// complaint finds the line in the output of a program of PostgreSQL that says what is wrong, and a hint if there is one.
func complaint(output string) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	var said []string
	for _, line := range lines {
		for _, mark := range []string{"FATAL:", "PANIC:", "error:", "HINT:", "hint:"} {
			if at := strings.Index(line, mark); at >= 0 {
				said = append(said, strings.TrimSpace(line[at:]))
				break
			}
		}
	}
	if len(said) == 0 {
		said = lines[len(lines)-1:]
	}
	return withAdvice(strings.Join(said, "; "))
}

// explain adds what to do to an error of the file system whose own words do not tell.
func explain(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("%w: free some space on this disk", err)
	}
	return err
}

// withAdvice does the same for what PostgreSQL says.
func withAdvice(message string) string {
	if strings.Contains(message, "No space left on device") {
		return message + "; free some space on this disk"
	}
	return message
}
