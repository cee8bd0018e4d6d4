package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// shop is a running shop: cmd/all, or a program for each module and one for the edge.
type shop struct {
	url      string // of the public port
	programs []*program
	// readyAfter is the time from its start until /readyz of every program answered 200.
	readyAfter time.Duration
}

// openShop starts cmd/all on free ports of the loopback interface, on the stand's database unless the settings name another, and
// returns when it is ready.
func (s *stand) openShop(ctx context.Context, settings ...string) (*shop, error) {
	addrs, err := freeAddrs(3)
	if err != nil {
		return nil, err
	}
	settings = append([]string{"CLEAVE_PUBLIC_ADDR=" + addrs[0], "CLEAVE_INTERNAL_ADDR=" + addrs[1], "CLEAVE_ADMIN_ADDR=" + addrs[2]}, settings...)
	return s.open(ctx, "http://"+addrs[0], &program{name: "cmd-all", binary: s.binary, admin: addrs[2], settings: settings})
}

// openApart starts a program for each module, and one for the edge.
func (s *stand) openApart(ctx context.Context, binaries map[string]string) (*shop, error) {
	addrs, err := freeAddrs(2 * len(binaries))
	if err != nil {
		return nil, err
	}
	ports, admins := map[string]string{}, map[string]string{}
	var peers []string
	for name := range binaries {
		ports[name], admins[name], addrs = addrs[0], addrs[1], addrs[2:]
		if name != edge {
			peers = append(peers, "CLEAVE_"+strings.ToUpper(name)+"_URL=http://"+ports[name])
		}
	}
	var programs []*program
	for name, binary := range binaries {
		p := &program{name: name, binary: binary, admin: admins[name], settings: []string{"CLEAVE_ADMIN_ADDR=" + admins[name]}}
		port := "CLEAVE_INTERNAL_ADDR="
		if name == edge {
			port = "CLEAVE_PUBLIC_ADDR="
		}
		p.settings = append(p.settings, port+ports[name])
		for _, peer := range peers {
			if !strings.HasPrefix(peer, "CLEAVE_"+strings.ToUpper(name)+"_") {
				p.settings = append(p.settings, peer)
			}
		}
		programs = append(programs, p)
	}
	return s.open(ctx, "http://"+ports[edge], programs...)
}

// open starts the programs of a shop side by side and returns when all are ready.
func (s *stand) open(ctx context.Context, url string, programs ...*program) (_ *shop, err error) {
	opened := &shop{url: url}
	defer func() {
		if err != nil {
			err = errors.Join(err, opened.close())
		}
	}()
	began := time.Now()
	for _, p := range programs {
		if s.server != nil {
			p.settings = append([]string{"DATABASE_URL=" + s.server.URL()}, p.settings...)
		}
		if err := p.start(filepath.Join(s.dir, p.name+".log")); err != nil {
			return nil, err
		}
		opened.programs = append(opened.programs, p)
	}
	for _, p := range programs {
		if err := p.waitReady(ctx); err != nil {
			return nil, err
		}
	}
	opened.readyAfter = time.Since(began)
	return opened, nil
}

// close stops the programs, which may be stopped twice, and waits until they are gone.
func (s *shop) close() error {
	var errs []error
	for _, p := range s.programs {
		p.interrupt()
	}
	for _, p := range s.programs {
		errs = append(errs, p.wait())
	}
	return errors.Join(errs...)
}

// get asks for a page and reports whether it was answered with 200.
func get(client *http.Client, url string) bool {
	answer, err := client.Get(url)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode == http.StatusOK
}

// freeAddrs returns addresses on loopback that nobody listens on. Somebody may take one before the shop does; it then says so.
func freeAddrs(count int) ([]string, error) {
	var addrs []string
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer listener.Close() // At the end, so that all are different.
		addrs = append(addrs, listener.Addr().String())
	}
	return addrs, nil
}

// foreignEnv returns the environment without what would change the shop.
func foreignEnv() []string {
	var kept []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, "CLEAVE_") && !strings.HasPrefix(name, "PG") && !strings.HasPrefix(name, "DATABASE_URL") && !strings.HasPrefix(name, "OTEL_") && name != "PORT" {
			kept = append(kept, entry)
		}
	}
	return kept
}
