package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
)

// superuser is the role that initdb makes. The callers' own roles are made by them.
const superuser = "postgres"

// unfinishedPrefix names folders that are being filled. What has it and is found by a later start was left by a process
// that was killed.
const unfinishedPrefix = "unfinished-"

// create makes the data when there are none. They are made beside their place and renamed when complete, so that a kill
// half-way leaves no cluster that looks like one.
func create(ctx context.Context, p place, bin binaries, o Options) error {
	version, err := dataVersion(p.home)
	if err != nil {
		return err
	}
	if version != "" {
		if _, err := os.Stat(p.password()); err != nil {
			return fmt.Errorf("the data need the superuser's password in a file: %w", err)
		}
		return p.claim()
	}
	unfinished, err := p.unfinished()
	if err != nil {
		return err
	}
	for _, dir := range unfinished {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp(p.home, unfinishedPrefix)
	if err != nil {
		return explain(err)
	}
	if o.Template == "" {
		err = initdb(ctx, p, bin, dir, o.Settings["fsync"] == "off")
	} else {
		err = copyTemplate(p, dir, o.Template)
	}
	if err == nil {
		err = os.Rename(dir, p.data())
	}
	if err != nil {
		return errors.Join(explain(err), os.RemoveAll(dir))
	}
	return p.claim()
}

// claim sees that the data have the owner and the permissions that the server demands.
func (p place) claim() error {
	if err := os.Chmod(p.data(), 0o700); err != nil {
		return err
	}
	if err := p.account.ownAll(p.data()); err != nil {
		return err
	}
	if err := os.Chmod(p.password(), 0o600); err != nil {
		return err
	}
	return p.account.own(p.password())
}

// initdb makes a cluster in the empty folder dir, with a new password that all connections need.
func initdb(ctx context.Context, p place, bin binaries, dir string, unsafe bool) error {
	// Whatever password an earlier attempt has left belongs to no data.
	if err := os.RemoveAll(p.password()); err != nil {
		return err
	}
	if err := os.WriteFile(p.password(), []byte(rand.Text()+"\n"), 0o600); err != nil {
		return err
	}
	for _, path := range []string{p.password(), dir} {
		if err := p.account.own(path); err != nil {
			return err
		}
	}
	var failures error
	for _, locale := range locales(bin.major) {
		args := []string{"--pgdata", dir, "--username", superuser, "--pwfile", p.password(), "--auth", "scram-sha-256",
			"--encoding", "UTF8", "--no-instructions"}
		if unsafe {
			args = append(args, "--no-sync")
		}
		out, err := command(ctx, p.account, bin.program("initdb"), append(args, locale...)...).CombinedOutput()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		failures = fmt.Errorf("initdb failed (%w): %s", err, complaint(string(out)))
		if !strings.Contains(string(out), "locale") {
			break
		}
	}
	return failures
}

// locales are arguments of initdb, the preferred ones first: sorting by code point and letters of all languages, the same
// on every machine. Not every operating system has C.UTF-8, and PostgreSQL has its own from 17 on.
func locales(major int) [][]string {
	choices := [][]string{{"--locale", "C.UTF-8"}, {"--locale", "C"}}
	if major >= 17 {
		choices = append([][]string{{"--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"}}, choices...)
	}
	return choices
}

// copyTemplate fills the empty folder dir with the data of another cluster, and takes its password.
func copyTemplate(p place, dir, template string) error {
	from := place{home: template}
	password, err := os.ReadFile(from.password())
	if err != nil {
		return err
	}
	if err := os.WriteFile(p.password(), password, 0o600); err != nil {
		return err
	}
	return os.CopyFS(dir, os.DirFS(from.data()))
}
