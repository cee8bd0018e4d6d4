package postgres

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// launch starts a server and waits until it accepts connections. It goes through pg_ctl, which gives up the rights of an
// administrator, with which the server refuses to run; so the server is not a child of this process.
func launch(ctx context.Context, p place, bin binaries, settings map[string]string) (*process, endpoint, error) {
	port, err := freePort()
	if err != nil {
		return nil, endpoint{}, err
	}
	at := endpoint{host: "127.0.0.1", port: strconv.Itoa(int(port))}
	if at.password, err = p.readPassword(); err != nil {
		return nil, at, err
	}
	log, err := p.openLog()
	if err != nil {
		return nil, at, explain(err)
	}
	before, err := log.Stat()
	log.Close()
	if err != nil {
		return nil, at, err
	}

	args := arguments(map[string]string{"listen_addresses": at.host, "port": at.port}, settings)
	for i, arg := range args {
		args[i] = `"` + arg + `"`
	}
	// Without pipes: the server would inherit them and keep them open.
	err = command(ctx, nil, bin.program("pg_ctl"), "start", "-w", "-t", "600", "-D", p.data(), "-l", p.log(),
		"-o", strings.Join(args, " ")).Run()
	if err != nil {
		return nil, at, fmt.Errorf("pg_ctl: %w; %s", err, lastLines(p.log(), before.Size()))
	}
	f, err := readPidfile(p.data())
	if err != nil {
		return nil, at, err
	}
	handle, err := os.FindProcess(f.pid)
	if err != nil {
		return nil, at, err
	}
	proc := follow(handle, p.data())
	if up, err := at.await(ctx, proc); !up {
		if err == nil {
			err = fmt.Errorf("it ended at once; %s", lastLines(p.log(), before.Size()))
		} else {
			proc.kill()
		}
		return nil, at, err
	}
	return proc, at, nil
}
