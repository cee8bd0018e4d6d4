package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// shop is a running cmd/all.
type shop struct {
	url string // of the public port
	pid int
	// readyAfter is the time from its start until /readyz answered 200.
	readyAfter time.Duration

	cmd    *exec.Cmd
	exited chan struct{}
	err    error // how it ended; read after exited
}

// lookEvery is how often a starting shop is asked whether it is ready, which bounds how exactly its start is measured.
const lookEvery = 5 * time.Millisecond

// openShop starts the program on free ports of the loopback interface, on the stand's database unless the settings name another, and
// returns when it is ready.
func (s *stand) openShop(ctx context.Context, settings ...string) (_ *shop, err error) {
	addrs, err := freeAddrs(3)
	if err != nil {
		return nil, err
	}
	p := &shop{url: "http://" + addrs[0], cmd: exec.Command(s.binary), exited: make(chan struct{})}
	p.cmd.Env = append(foreignEnv(), "CLEAVE_PUBLIC_ADDR="+addrs[0], "CLEAVE_INTERNAL_ADDR="+addrs[1], "CLEAVE_ADMIN_ADDR="+addrs[2])
	if s.server != nil {
		p.cmd.Env = append(p.cmd.Env, "DATABASE_URL="+s.server.URL())
	}
	p.cmd.Env = append(p.cmd.Env, settings...)
	logFile, err := os.Create(filepath.Join(s.dir, "shop.log"))
	if err != nil {
		return nil, err
	}
	defer logFile.Close()
	p.cmd.Stdout, p.cmd.Stderr = logFile, logFile
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.pid = p.cmd.Process.Pid
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	if err := p.waitReady(ctx, "http://"+addrs[2]+"/readyz"); err != nil {
		output, _ := os.ReadFile(logFile.Name()) // The error is said with or without it.
		return nil, errors.Join(fmt.Errorf("start cmd/all: %w\n%s", err, lastLines(output)), p.close())
	}
	p.readyAfter = time.Since(began)
	return p, nil
}

func (p *shop) waitReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		if answer, err := client.Get(url); err == nil { // Refused until it listens.
			_, _ = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ticker.C:
		case <-p.exited:
			return fmt.Errorf("it ended before it was ready: %v", p.err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// close stops the program and waits until it is gone. A program that was interrupted from the keyboard has ended by then.
func (p *shop) close() error {
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		_ = p.cmd.Process.Kill() // Windows knows no interrupt.
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(time.Minute):
		_ = p.cmd.Process.Kill()
		<-p.exited
		return errors.New("cmd/all did not stop within a minute and was killed")
	}
}

// freeAddrs returns addresses on loopback that nobody listens on. Somebody may take one before the shop does; it then says so.
func freeAddrs(count int) ([]string, error) {
	var addrs []string
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
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
		if !strings.HasPrefix(name, "CLEAVE_") && !strings.HasPrefix(name, "PG") && !strings.HasPrefix(name, "DATABASE_URL") && name != "PORT" {
			kept = append(kept, entry)
		}
	}
	return kept
}
