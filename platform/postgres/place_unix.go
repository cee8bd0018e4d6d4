//go:build unix

package postgres

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// locate finds the home of the cluster in dir. Data that exist decide: they stay where they are and belong to whom they
// belong. Without data the home is dir, unless this process is root and the server's user cannot reach dir, as it is with a
// checkout in /root: then it is a folder under /var/lib named after dir, so that each start comes to the same answer.
func locate(dir string) (place, error) {
	p := place{dir: dir, home: dir}
	if os.Geteuid() != 0 {
		return p, nil
	}
	homes := append([]string{dir}, movedHomes(dir)...)
	for _, home := range homes {
		version, err := dataVersion(home)
		if err != nil {
			return place{}, err
		}
		if version == "" {
			continue
		}
		p.home = home
		if p.account, err = ownerOf(p.data()); err != nil {
			return place{}, err
		}
		if !p.account.reaches(home) {
			return place{}, fmt.Errorf("user %s, which the server runs as, cannot reach the data in %s; make the folders above it searchable (chmod o+x)",
				p.account.name, p.data())
		}
		return p, nil
	}

	var err error
	if p.account, err = defaultAccount(); err != nil {
		return place{}, err
	}
	if p.account.reaches(dir) {
		return p, nil
	}
	for _, home := range homes[1:] {
		if err = p.account.makeHome(home); err == nil {
			p.home = home
			return p, nil
		}
	}
	return place{}, fmt.Errorf("user %s, which the server runs as, cannot reach %s, and the data cannot live elsewhere: %w", p.account.name, dir, err)
}

// movedHomes are where the data of dir may live when it cannot be reached, in order of preference. Both survive a reboot;
// the second is for machines where /var/lib is read-only.
func movedHomes(dir string) []string {
	name := digest(dir, 16)
	homes := []string{filepath.Join("/var/lib/cleave", name)}
	// Anybody may create folders in /var/tmp: one that is not root's own is not believed.
	if info, err := os.Lstat("/var/tmp/cleave"); err != nil || info.IsDir() && owner(info) == 0 {
		homes = append(homes, filepath.Join("/var/tmp/cleave", name))
	}
	return homes
}

// makeHome creates a folder that everybody may pass through, whatever the umask: what it holds is private by itself. The
// permissions of a parent that existed are left alone.
func (a *account) makeHome(home string) error {
	if err := os.MkdirAll(filepath.Dir(filepath.Dir(home)), 0o755); err != nil {
		return err
	}
	for _, dir := range []string{filepath.Dir(home), home} {
		err := os.Mkdir(dir, 0o755)
		if os.IsExist(err) {
			continue
		}
		if err == nil {
			err = os.Chmod(dir, 0o755)
		}
		if err != nil {
			return err
		}
	}
	if !a.reaches(home) {
		return fmt.Errorf("user %s cannot reach %s either", a.name, home)
	}
	return nil
}

// socketDir is where the server's socket lives. The path of a unix socket may have 103 bytes on macOS and 107 on Linux,
// which a checkout can exceed; so the folder has a short name of its own. For root it is always in /tmp, since root's
// TMPDIR may be closed to others.
func (p place) socketDir() string {
	parent := os.TempDir()
	if p.account != nil || len(parent) > 64 {
		parent = "/tmp"
	}
	return filepath.Join(parent, "cleave-"+digest(p.home, 8))
}

// makeSocketDir creates the folder of the socket for the server's user alone. Anybody may create folders in /tmp, so one
// that belongs to somebody else is refused.
func (p place) makeSocketDir() error {
	dir := p.socketDir()
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if by := owner(info); !info.IsDir() || by != os.Geteuid() && (p.account == nil || by != p.account.uid) {
		return fmt.Errorf("the folder %s for the server's socket belongs to another user: remove it", dir)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	return p.account.own(dir)
}

func owner(info os.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }
