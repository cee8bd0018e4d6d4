package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cleave-go/cleave/platform/mtls"
)

// certify runs cleave certs in a folder and returns what it has printed, by unit.
func certify(t *testing.T, dir string, args ...string) map[string]certFiles {
	t.Helper()
	printed, err := run(t, append([]string{"certs", "--json", "--dir", dir}, args...)...)
	if err != nil {
		t.Fatalf("cleave certs %v: %v", args, err)
	}
	all := map[string]certFiles{}
	for decoder := json.NewDecoder(strings.NewReader(printed)); decoder.More(); {
		var files certFiles
		if err := decoder.Decode(&files); err != nil {
			t.Fatal(err)
		}
		all[files.Unit] = files
	}
	return all
}

// meet reports whether two units accept each other, as they would now.
func meet(t *testing.T, server, client certFiles) error {
	t.Helper()
	open := func(f certFiles) *mtls.Source {
		source, err := mtls.Open(mtls.Files{Cert: f.Cert, Key: f.Key, CA: f.CA}, "cleave", func(mtls.ID) error { return nil }, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return source
	}
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	answered := make(chan error, 1)
	go func() {
		conn := tls.Server(here, open(server).ServerConfig())
		err := conn.Handshake()
		if err == nil {
			_, err = conn.Write([]byte("x"))
		}
		here.Close()
		answered <- err
	}()
	certificate, err := tls.LoadX509KeyPair(client.Cert, client.Key)
	if err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(there, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{certificate}})
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return err
	}
	return <-answered
}

// TestCerts holds that a laptop gets certificates that units accept, and new ones without a moment in which they do not.
func TestCerts(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "certs")
	first := certify(t, dir, "--unit", "orders-payments", "--host", "shop.test")
	if len(first) != 9 || first["orders-payments"].Names[0] != "spiffe://cleave/orders-payments" || first["edge"].Names[0] != "spiffe://cleave/edge" {
		t.Fatalf("there are %v", first)
	}
	if names := strings.Join(first["public"].Names, " "); names != "localhost shop.test 127.0.0.1 ::1" || first["public"].CA != "" {
		t.Errorf("the public port has %v", first["public"])
	}
	for unit, files := range first {
		if left := time.Until(files.NotAfter); left < 29*24*time.Hour || left > 30*24*time.Hour {
			t.Errorf("the certificate of %s is valid until %v", unit, files.NotAfter)
		}
	}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		secret := entry.IsDir() || filepath.Ext(path) == ".key"
		if err == nil && secret && info.Mode()&0o077 != 0 {
			t.Errorf("%s has the mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := meet(t, first["payments"], first["orders"]); err != nil {
		t.Errorf("units do not accept each other: %v", err)
	}

	same := certify(t, dir)
	for unit, files := range first {
		if now := same[unit]; now.Made || !now.NotAfter.Equal(files.NotAfter) {
			t.Errorf("the certificate of %s is another when the command is repeated: %v", unit, now)
		}
	}

	// The authority changes in three steps. At each, a unit that has taken it meets one that has not.
	step := func(args ...string) (before, after map[string]certFiles) {
		t.Helper()
		old := filepath.Join(t.TempDir(), "old")
		if err := os.CopyFS(old, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		before, after = certify(t, old), certify(t, dir, args...)
		for way, err := range map[string]error{"a call of": meet(t, before["payments"], after["orders"]), "a call by": meet(t, after["payments"], before["orders"])} {
			if err != nil {
				t.Errorf("%v: %s a unit that has not taken it: %v", args, way, err)
			}
		}
		return before, after
	}
	step("--renew")
	step("--new-ca")
	if _, err := run(t, "certs", "--dir", dir, "--drop-old-ca"); err == nil || !strings.Contains(err.Error(), "is of an older authority: run cleave certs --renew first") {
		t.Errorf("the old authority goes before its certificates: %v", err)
	}
	step("--renew")
	for unit, files := range certify(t, dir) {
		if text := read(t, files.Cert); bytes.Equal(text, nil) || files.CA != "" && bytes.Count(read(t, files.CA), []byte("BEGIN")) != 2 {
			t.Errorf("%s has %q", unit, text)
		}
	}
	_, last := step("--drop-old-ca")
	if bytes.Count(read(t, last["orders"].CA), []byte("BEGIN")) != 1 {
		t.Error("the old authority is still trusted")
	}
}

// TestCertsKeeps holds that the command, repeated, leaves alone what is good, and nothing else.
func TestCertsKeeps(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certify(t, dir, "--host", "shop.test")
	for _, c := range []struct {
		args  []string
		hosts string
		made  bool
	}{
		{nil, "localhost shop.test 127.0.0.1 ::1", false},
		{[]string{"--host", "shop.test,0:0:0:0:0:0:0:1"}, "localhost shop.test 127.0.0.1 ::1", false},
		{[]string{"--host", "pay.test"}, "localhost shop.test pay.test 127.0.0.1 ::1", true},
		{[]string{"--renew"}, "localhost shop.test pay.test 127.0.0.1 ::1", true},
	} {
		if public := certify(t, dir, c.args...)["public"]; strings.Join(public.Names, " ") != c.hosts || public.Made != c.made {
			t.Errorf("cleave certs %v: the public port has %v, new: %v", c.args, public.Names, public.Made)
		}
	}
	folder, err := openCertFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := folder.unit(mtls.ID{TrustDomain: "cleave", Unit: "orders"}, -time.Minute, true); err != nil {
		t.Fatal(err)
	}
	after := certify(t, dir)
	if orders := after["orders"]; !orders.Made || time.Until(orders.NotAfter) < 24*time.Hour || after["payments"].Made {
		t.Errorf("of orders, which has expired, and payments, which has not, there are %v and %v", orders, after["payments"])
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestCertsRefuses holds what the command does not do, and says.
func TestCertsRefuses(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "certs")
	certify(t, dir)
	damaged := func(file, text string) string {
		path := filepath.Join(t.TempDir(), "certs")
		if err := os.CopyFS(path, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	half := damaged("ca.key", "")
	if err := os.Remove(filepath.Join(half, "ca.key")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want string
		args []string
	}{
		{`the unit orders-paymets holds "paymets", which is no module: there are catalog, identity, inventory, notifications, orders, payments, edge`, []string{"--unit", "orders-paymets"}},
		{"--days is a number from 1 to 3650", []string{"--days", "0"}},
		{"is no trust domain", []string{"--trust-domain", "Shop"}},
		{"there is no authority in", []string{"--renew", "--dir", t.TempDir()}},
		{"were all set", []string{"--renew", "--new-ca"}},
		{"half of an authority is there", []string{"--dir", half}},
		{"the authority in", []string{"--dir", damaged("ca.key", "x")}},
		{"the certificate of orders cannot be read", []string{"--dir", damaged("orders/tls.key", "x")}},
	} {
		before := snapshot(t, dir)
		if _, err := run(t, append([]string{"certs", "--dir", dir}, c.args...)...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("cleave certs %v: %v, want %q", c.args, err, c.want)
		}
		if !slices.Equal(before, snapshot(t, dir)) {
			t.Errorf("cleave certs %v has changed the folder", c.args)
		}
	}
}

// snapshot returns the certificates and keys of a folder.
func snapshot(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			all = append(all, path, string(read(t, path)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestCertsTable holds what a person sees: each unit, and the settings to use.
func TestCertsTable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	printed, err := run(t, "certs", "--dir", dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"spiffe://cleave/payments", "CLEAVE_TLS_CERT_FILE=" + filepath.Join(dir, "catalog", "tls.crt"), "CLEAVE_TLS_CA_FILE=", "CLEAVE_PUBLIC_TLS_KEY_FILE=" + filepath.Join(dir, "public", "tls.key"), "SSL_CERT_FILE=",
	} {
		if !strings.Contains(printed, want) {
			t.Errorf("it does not say %s:\n%s", want, printed)
		}
	}
}
