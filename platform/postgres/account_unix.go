//go:build unix

package postgres

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the user that the server runs as when this process is root, because PostgreSQL refuses to run as root. A nil
// account means the user of this process, and needs nothing done.
type account struct {
	name     string
	uid, gid int
}

// defaultAccount is the user for new data: nil unless this process is root.
func defaultAccount() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.Atoi(u.Uid)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.Atoi(u.Gid)
		if err != nil {
			return nil, err
		}
		return &account{name: name, uid: uid, gid: gid}, nil
	}
	return nil, errors.New(`PostgreSQL does not run as root, and there is no user "postgres" or "nobody" to run it: create one, or start as another user`)
}

// ownerOf is the user that existing data belong to, so that a developer who once starts with sudo finds them usable
// afterwards. Data of root, which a copy can be, get the default user.
func ownerOf(data string) (*account, error) {
	info, err := os.Stat(data)
	if err != nil {
		return nil, err
	}
	uid := owner(info)
	if uid == 0 {
		return defaultAccount()
	}
	a := &account{name: strconv.Itoa(uid), uid: uid, gid: int(info.Sys().(*syscall.Stat_t).Gid)}
	// A user without a name is usual in containers.
	if u, err := user.LookupId(a.name); err == nil {
		a.name = u.Username
	}
	return a, nil
}

// reaches tells whether the user may pass through path and all folders above it, by their permission bits. Access lists
// are not looked at: one that grants more leads to other folders than needed, which works as well.
func (a *account) reaches(path string) bool {
	if a == nil {
		return true
	}
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false
	}
	for {
		info, err := os.Stat(resolved)
		if err != nil || !a.mayPass(info) {
			return false
		}
		parent := filepath.Dir(resolved)
		if parent == resolved {
			return true
		}
		resolved = parent
	}
}

func (a *account) mayPass(info os.FileInfo) bool {
	stat := info.Sys().(*syscall.Stat_t)
	switch {
	case int(stat.Uid) == a.uid:
		return info.Mode()&0o100 != 0
	case int(stat.Gid) == a.gid:
		return info.Mode()&0o010 != 0
	default:
		return info.Mode()&0o001 != 0
	}
}

// own gives a file or folder to the user, without what is in it.
func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	if err := os.Lchown(path, a.uid, a.gid); err != nil {
		return fmt.Errorf("give it to user %s, which the server runs as: %w", a.name, err)
	}
	return nil
}

// ownAll gives a folder and what is in it to the user. The folder itself comes last and stands for the rest: when it
// belongs to the user already nothing is done, and after an interruption all is done again.
func (a *account) ownAll(root string) error {
	if a == nil {
		return nil
	}
	info, err := os.Lstat(root)
	if err != nil {
		return err
	}
	if owner(info) == a.uid {
		return nil
	}
	err = filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		return a.own(path)
	})
	if err != nil {
		return err
	}
	return a.own(root)
}

// attributes put a child into a process group of its own, so that Ctrl-C in a terminal reaches this process only, and
// make it run as the user.
func (a *account) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if a != nil {
		attr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return attr
}
