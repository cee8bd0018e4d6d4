package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	embedded "github.com/fergusstrange/embedded-postgres"
)

// downloadable are the versions that can be downloaded; 0 stands for new data.
var downloadable = map[int]embedded.PostgresVersion{
	0:  embedded.V18,
	18: embedded.V18,
	17: embedded.V17,
	16: embedded.V16,
	15: embedded.V15,
}

// repository is where the binaries come from: the Maven artifacts of zonkyio/embedded-postgres-binaries.
const repository = "https://repo1.maven.org/maven2"

// downloaded lists the folders of the binaries that earlier starts downloaded, the newest first.
func downloaded(cache string) []string {
	entries, err := os.ReadDir(cache)
	if err != nil {
		return nil // usually there is none
	}
	var dirs []string
	for _, entry := range slices.Backward(entries) {
		dirs = append(dirs, filepath.Join(cache, entry.Name(), "bin"))
	}
	return dirs
}

// download fetches the binaries for the major version, or the newest for 0, and returns their folder. It is the last
// resort, and the tests put a server of their own in the place of the repository: the real one is met only where the
// network is.
func download(ctx context.Context, log *slog.Logger, p place, major int) (string, error) {
	version, ok := downloadable[major]
	if !ok {
		return "", fmt.Errorf("there is no download of PostgreSQL %d", major)
	}
	log.InfoContext(ctx, "downloading PostgreSQL, because this machine has none that fits",
		"version", version, "from", repository, "to", p.downloads())
	return fetch(ctx, repository, version, p.downloads(), p.account)
}

// fetch downloads into a folder of the cache that becomes visible when it is complete.
func fetch(ctx context.Context, from string, version embedded.PostgresVersion, cache string, a *account) (string, error) {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	unfinished, err := os.MkdirTemp(cache, unfinishedPrefix)
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(unfinished)
	port, err := freePort()
	if err != nil {
		return "", err
	}
	config := embedded.DefaultConfig().
		BinaryRepositoryURL(from).
		Version(version).
		CachePath(unfinished).
		RuntimePath(filepath.Join(unfinished, "run")).
		BinariesPath(filepath.Join(unfinished, "pg")).
		Port(port).
		Logger(io.Discard).
		// The library has no door for a download alone: its Start downloads, unpacks, runs initdb and starts a server. An
		// encoding that does not exist ends it after the second step.
		Encoding("no such encoding")
	result := make(chan error, 1)
	go func() { result <- embedded.NewDatabase(config).Start() }()
	select {
	case err = <-result:
	case <-ctx.Done():
		// The library cannot be interrupted, but whoever presses Ctrl-C shall not wait for a long download. The goroutine
		// ends with the download, or with the process.
		return "", ctx.Err()
	}
	if _, missing := os.Stat(binaries{dir: filepath.Join(unfinished, "pg", "bin")}.program("postgres")); missing != nil {
		return "", err
	}
	if err := a.ownAll(filepath.Join(unfinished, "pg")); err != nil {
		return "", err
	}
	dir := filepath.Join(cache, string(version))
	if err := os.Rename(filepath.Join(unfinished, "pg"), dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err // when it exists, another process was faster
	}
	return filepath.Join(dir, "bin"), nil
}
