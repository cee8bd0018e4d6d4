package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"time"
)

// program is a process of a shop.
type program struct {
	name     string
	binary   string
	admin    string // the address of the operator's port
	settings []string
	pid      int

	cmd    *exec.Cmd
	log    string
	exited chan struct{}
	err    error // how it ended; read after exited
}

// lookEvery is how often a starting program is asked whether it is ready, which bounds how exactly its start is measured.
const lookEvery = 5 * time.Millisecond

// start starts the program, which writes to a log.
func (p *program) start(log string) error {
	p.cmd, p.log, p.exited = exec.Command(p.binary), log, make(chan struct{})
	p.cmd.Env = append(foreignEnv(), p.settings...)
	logFile, err := os.Create(log)
	if err != nil {
		return err
	}
	defer logFile.Close()
	p.cmd.Stdout, p.cmd.Stderr = logFile, logFile
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.pid = p.cmd.Process.Pid
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	return nil
}

// waitReady returns when the program says that it is ready.
func (p *program) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for !get(client, "http://"+p.admin+"/readyz") { // Refused until it listens.
		var why error
		select {
		case <-ticker.C:
			continue
		case <-p.exited:
			why = fmt.Errorf("it ended before it was ready: %v", p.err)
		case <-ctx.Done():
			why = ctx.Err()
		}
		output, _ := os.ReadFile(p.log) // The error is said with or without it.
		return fmt.Errorf("start %s: %w\n%s", p.name, why, lastLines(output))
	}
	return nil
}

// interrupt asks the program to end. One that was interrupted from the keyboard has ended by then.
func (p *program) interrupt() {
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		_ = p.cmd.Process.Kill() // Windows knows no interrupt.
	}
}

// wait waits until the program is gone.
func (p *program) wait() error {
	select {
	case <-p.exited:
		return nil
	case <-time.After(time.Minute):
		_ = p.cmd.Process.Kill()
		<-p.exited
		return fmt.Errorf("%s did not stop within a minute and was killed", p.name)
	}
}
