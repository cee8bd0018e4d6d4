package postgres

import "syscall"

// account is always nil on Windows, where initdb and pg_ctl drop the rights of an administrator by themselves.
type account struct{ name string }

func defaultAccount() (*account, error)     { return nil, nil }
func (a *account) own(path string) error    { return nil }
func (a *account) ownAll(root string) error { return nil }

// attributes put a child into a process group of its own, so that Ctrl-C in a console reaches this process only.
func (a *account) attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
