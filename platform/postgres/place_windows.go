package postgres

// locate finds the home of the cluster in dir, which on Windows is dir itself.
func locate(dir string) (place, error) { return place{dir: dir, home: dir}, nil }

// socketDir is unused on Windows, where the server listens on a loopback port; the name is one that nothing has.
func (p place) socketDir() string { return p.home + "\\socket" }
