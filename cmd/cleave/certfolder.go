package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cleave-go/cleave/platform/mtls"
	"github.com/cleave-go/cleave/platform/mtls/authority"
)

// certFolder holds an authority, ca.crt and ca.key, and a folder for each unit with its tls.crt and tls.key, and a ca.crt of its own, as
// Kubernetes lays them out. The first certificate in ca.crt is that of the key; others are of older authorities, still trusted.
type certFolder struct {
	path      string
	authority *authority.Authority // Nil if there is none.
	trusted   []byte               // What is in ca.crt.
}

// certFiles are the certificate of a unit, or of the public port, in the files of its folder.
type certFiles struct {
	Unit     string    `json:"unit"`
	Names    []string  `json:"names"` // The SPIFFE id, or the names of hosts.
	NotAfter time.Time `json:"not_after"`
	Cert     string    `json:"cert"`
	Key      string    `json:"key"`
	CA       string    `json:"ca,omitempty"`
	// Made says that it is new.
	Made bool `json:"made"`

	folder string
}

// authorityValidity is how long an authority for development lasts.
const authorityValidity = 365 * 24 * time.Hour

// openCertFolder reads the authority of a folder, if there is one.
func openCertFolder(path string) (*certFolder, error) {
	f := &certFolder{path: path}
	key, keyErr := os.ReadFile(f.file("ca.key"))
	cert, certErr := os.ReadFile(f.file("ca.crt"))
	if errors.Is(keyErr, fs.ErrNotExist) && errors.Is(certErr, fs.ErrNotExist) {
		return f, nil
	}
	if err := errors.Join(keyErr, certErr); err != nil {
		return nil, fmt.Errorf("half of an authority is there, %w: restore it, or remove the folder %s", err, path)
	}
	a, err := authority.Parse(authority.Pair{Cert: cert, Key: key})
	if err != nil {
		return nil, fmt.Errorf("the authority in %s cannot be read: %w", path, err)
	}
	f.authority, f.trusted = a, cert
	return f, nil
}

func (f *certFolder) file(parts ...string) string {
	return filepath.Join(append([]string{f.path}, parts...)...)
}

// addAuthority makes an authority. One that was there is trusted as before.
func (f *certFolder) addAuthority() error {
	made, err := authority.New("Cleave development "+time.Now().UTC().Format(time.RFC3339), authorityValidity)
	if err != nil {
		return err
	}
	pair, err := made.Pair()
	if err != nil {
		return err
	}
	f.authority, f.trusted = made, append(pair.Cert, f.trusted...)
	// In this order, so that the key of an authority that is trusted is never lost.
	if err := write(f.file("ca.crt.next"), f.trusted, 0o644); err != nil {
		return err
	}
	if err := write(f.file("ca.key"), pair.Key, 0o600); err != nil {
		return err
	}
	return os.Rename(f.file("ca.crt.next"), f.file("ca.crt"))
}

// dropOld leaves only the newest authority. It refuses while a certificate is of an older one.
func (f *certFolder) dropOld() error {
	pair, err := f.authority.Pair()
	if err != nil {
		return err
	}
	units, err := f.units()
	if err != nil {
		return err
	}
	for _, unit := range units {
		leaf, err := readCertificate(f.file(unit, "tls.crt"))
		if err != nil {
			return err
		}
		if leaf.CheckSignatureFrom(f.authority.Certificate) != nil {
			return fmt.Errorf("the certificate of %s is of an older authority: run cleave certs --renew first, and wait until the units have read it", unit)
		}
	}
	f.trusted = pair.Cert
	return write(f.file("ca.crt"), f.trusted, 0o644)
}

// units returns the names of those that have a certificate in the folder.
func (f *certFolder) units() ([]string, error) {
	var units []string
	err := filepath.WalkDir(f.path, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Base(path) == "ca.crt" && filepath.Dir(path) != filepath.Clean(f.path) {
			var unit string
			unit, err = filepath.Rel(f.path, filepath.Dir(path))
			units = append(units, filepath.ToSlash(unit))
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return units, err
}

// unit returns the certificate of a unit, made if there is none, or it has expired or shall be renewed.
func (f *certFolder) unit(id mtls.ID, validity time.Duration, renew bool) (certFiles, error) {
	files, err := f.sign(id.Unit, authority.Unit(id, validity), renew)
	if err != nil {
		return files, err
	}
	files.CA = f.file(id.Unit, "ca.crt")
	return files, write(files.CA, f.trusted, 0o644)
}

// public returns the certificate of the public port. A host that it had it keeps, and one that it lacks it gets.
func (f *certFolder) public(hosts []string, validity time.Duration, renew bool) (certFiles, error) {
	leaf, err := readCertificate(f.file("public", "tls.crt"))
	switch {
	case err == nil:
		had := hostsOf(leaf)
		for _, host := range hosts {
			if ip := net.ParseIP(host); ip != nil {
				host = ip.String()
			}
			if !slices.Contains(had, host) {
				had, renew = append(had, host), true
			}
		}
		hosts = had
	case !errors.Is(err, fs.ErrNotExist) && !renew:
		return certFiles{}, fmt.Errorf("the certificate of public cannot be read: %w: replace it with --renew", err)
	}
	return f.sign("public", authority.Server(validity, hosts...), renew)
}

// hostsOf returns the names and addresses of hosts in a certificate.
func hostsOf(leaf *x509.Certificate) []string {
	hosts := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	return hosts
}

func (f *certFolder) sign(name string, template *x509.Certificate, renew bool) (certFiles, error) {
	files := certFiles{Unit: name, Cert: f.file(name, "tls.crt"), Key: f.file(name, "tls.key"), folder: f.file(name)}
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !renew {
		return files, fmt.Errorf("the certificate of %s cannot be read: %w: replace it with --renew", name, err)
	}
	if err != nil || renew || time.Now().After(pair.Leaf.NotAfter) {
		if time.Now().After(f.authority.Certificate.NotAfter) {
			return files, fmt.Errorf("the authority in %s has expired: make another with --new-ca, then --renew", f.path)
		}
		pair, err := f.authority.Sign(template)
		if err != nil {
			return files, err
		}
		if err := write(files.Key, pair.Key, 0o600); err != nil {
			return files, err
		}
		if err := write(files.Cert, pair.Cert, 0o644); err != nil {
			return files, err
		}
		files.Made = true
	}
	leaf, err := readCertificate(files.Cert)
	if err != nil {
		return files, err
	}
	files.NotAfter = leaf.NotAfter
	for _, uri := range leaf.URIs {
		files.Names = append(files.Names, uri.String())
	}
	files.Names = append(files.Names, hostsOf(leaf)...)
	return files, nil
}

func readCertificate(path string) (*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no certificate", path)
	}
	return x509.ParseCertificate(block.Bytes)
}

// write replaces a file as a whole, because a unit may read it at any time. What is the same already is left alone.
func write(path string, text []byte, mode fs.FileMode) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	next := path + ".new"
	if err := os.WriteFile(next, text, mode); err != nil {
		return err
	}
	return os.Rename(next, path)
}
