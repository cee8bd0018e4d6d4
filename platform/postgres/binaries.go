package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// oldest is the first major version with everything that Cleave's migrations and this package use.
const oldest = 15

// binaries are the programs of one PostgreSQL installation.
type binaries struct {
	dir     string
	version string // such as "15.4" or "18beta1"
	major   int
}

// program is the path of a program, which may be run even when dir is not in PATH.
func (b binaries) program(name string) string {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(b.dir, name)
}

// notInstalled says that no PostgreSQL of a fitting version is on the machine; its message tells what to install.
type notInstalled struct {
	major int      // the version that the data need, or 0
	found []string // what is there but does not fit
}

func (e *notInstalled) Error() string {
	message := fmt.Sprintf("PostgreSQL %d or newer is not installed", oldest)
	apt, brew := "postgresql", "postgresql@17"
	if e.major != 0 {
		message = fmt.Sprintf("the data need PostgreSQL %d, the version that made them, and it is not installed", e.major)
		apt, brew = fmt.Sprintf("postgresql-%d", e.major), fmt.Sprintf("postgresql@%d", e.major)
	}
	if len(e.found) > 0 {
		message += " (found " + strings.Join(e.found, ", ") + ")"
	}
	return fmt.Sprintf(`%s; install it, for example with "apt-get install %s" or "brew install %s"`, message, apt, brew)
}

// binariesFor returns what fits the data of p, from the machine or else downloaded.
func binariesFor(ctx context.Context, p place, log *slog.Logger) (binaries, error) {
	version, err := dataVersion(p.home)
	if err != nil {
		return binaries{}, err
	}
	major := 0
	if version != "" {
		if major, err = strconv.Atoi(version); err != nil {
			return binaries{}, fmt.Errorf("the data in %s were made by PostgreSQL %s, which is too old", p.data(), version)
		}
	}
	bin, err := find(ctx, append(places(), downloaded(p.downloads())...), p.account, major)
	var missing *notInstalled
	if !errors.As(err, &missing) {
		return bin, err
	}
	dir, downloadErr := download(ctx, log, p, major)
	if downloadErr != nil {
		return binaries{}, fmt.Errorf("%w (downloading it failed: %w)", err, downloadErr)
	}
	return find(ctx, []string{dir}, p.account, major)
}

// find returns the first installation among dirs that the user can run and that has the major version, or with major 0
// any that is new enough. The error is a *notInstalled when there is none.
func find(ctx context.Context, dirs []string, a *account, major int) (binaries, error) {
	missing := &notInstalled{major: major}
	seen := map[string]bool{}
	for _, dir := range dirs {
		// PATH often has symbolic links to a few of the programs; their target has all.
		resolved, err := filepath.EvalSymlinks(binaries{dir: dir}.program("postgres"))
		if err != nil || seen[resolved] {
			continue
		}
		seen[resolved] = true
		bin := binaries{dir: filepath.Dir(resolved)}
		if _, err := os.Stat(bin.program("initdb")); err != nil {
			continue
		}
		if err := bin.ask(ctx, a); err != nil {
			if ctx.Err() != nil {
				return binaries{}, ctx.Err()
			}
			missing.found = append(missing.found, fmt.Sprintf("one in %s that does not run: %v", bin.dir, err))
			continue
		}
		if bin.major == major || major == 0 && bin.major >= oldest {
			return bin, nil
		}
		missing.found = append(missing.found, fmt.Sprintf("%s in %s", bin.version, bin.dir))
	}
	return binaries{}, missing
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) ((\d+)\S*)`)

// ask fills in the version. It runs the server's program as the user that the server will run as, which shows that this
// user can.
func (b *binaries) ask(ctx context.Context, a *account) error {
	out, err := command(ctx, a, b.program("postgres"), "--version").Output()
	if err != nil {
		return err
	}
	match := versionPattern.FindSubmatch(out)
	if match == nil {
		return fmt.Errorf("it says %q", strings.TrimSpace(string(out)))
	}
	b.version = string(match[1])
	b.major, err = strconv.Atoi(string(match[2]))
	return err
}

// places are the folders where PostgreSQL is usually installed, in the order of preference: what the developer chose by
// PATH, then the newest of each kind.
func places() []string {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		dirs = append(dirs, filepath.Dir(path))
	}
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",                          // Debian, Ubuntu
		"/usr/pgsql-*/bin",                                   // RHEL, Fedora
		"/opt/homebrew/opt/postgresql@*/bin",                 // Homebrew on Apple silicon
		"/usr/local/opt/postgresql@*/bin",                    // Homebrew on Intel
		`C:\Program Files\PostgreSQL\*\bin`,                  // Windows
		"/Applications/Postgres.app/Contents/Versions/*/bin", // Postgres.app
	} {
		dirs = append(dirs, newestFirst(pattern)...)
	}
	return dirs
}

// newestFirst lists the folders of a pattern by the version in the place of its asterisk, the highest first. What has no
// version there, such as "latest", comes last.
func newestFirst(pattern string) []string {
	dirs, _ := filepath.Glob(pattern) // fails only for a malformed pattern
	before, after, _ := strings.Cut(pattern, "*")
	version := func(dir string) []int {
		var numbers []int
		for _, part := range strings.Split(strings.TrimSuffix(strings.TrimPrefix(dir, before), after), ".") {
			n, err := strconv.Atoi(part)
			if err != nil {
				return nil
			}
			numbers = append(numbers, n)
		}
		return numbers
	}
	slices.SortStableFunc(dirs, func(a, b string) int { return slices.Compare(version(b), version(a)) })
	return dirs
}
