package postgres

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// pidfile is what a server writes to postmaster.pid in its data: a line each for its process id, data, start time, port,
// first socket folder, first listen address, shared memory key and status. The later lines come as the server starts.
type pidfile struct {
	lines []string
	pid   int
}

func pidfilePath(data string) string { return filepath.Join(data, "postmaster.pid") }

// readPidfile returns an error that is fs.ErrNotExist when no server has the data, or it was shut down cleanly.
func readPidfile(data string) (pidfile, error) {
	content, err := os.ReadFile(pidfilePath(data))
	if err != nil {
		return pidfile{}, err
	}
	f := pidfile{lines: strings.Split(string(content), "\n")}
	if f.pid, err = strconv.Atoi(strings.TrimSpace(f.lines[0])); err != nil {
		return pidfile{}, fmt.Errorf("read %s: %w; remove it if no server runs on these data", pidfilePath(data), err)
	}
	return f, nil
}

func (f pidfile) line(n int) string {
	if n > len(f.lines) {
		return ""
	}
	return strings.TrimSpace(f.lines[n-1])
}

// ready tells whether the server has said that it accepts connections.
func (f pidfile) ready() bool { return f.line(8) == "ready" }

// endpoint is where the server listens, when it has got so far.
func (f pidfile) endpoint() (endpoint, bool) {
	host := f.line(5)
	if host == "" {
		host = f.line(6) // no sockets on Windows
	}
	return endpoint{host: host, port: f.line(4)}, host != "" && f.line(4) != ""
}
