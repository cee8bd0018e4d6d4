package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
)

// way is a way to a method that does nothing: where, and what is sent.
type way struct {
	name  string
	url   string
	http2 bool
	kind  string // of the content
	body  []byte
}

// edgeCallers is how many call at once.
const edgeCallers = 4

// measureEdge calls a method that does nothing in a process of its own, through the edge and without it, and reads the processor time
// of that process. Callers have tokens, which have been seen before unless said otherwise.
func measureEdge(ctx context.Context, p plan, r *report) (err error) {
	p.say("edge: starting a process with an edge, and the same module without one")
	server, at, err := startEdge(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.end()) }()
	const procedure = "/cleave.platform.parity.v1.ParityService/Call"
	const payload = `"payload":{"text":"a sentence that is as long as many are","numbers":[1,2,3]}}`
	text, rest := []byte(`{"case":"bench",`+payload), []byte(`{`+payload) // REST has the case in its path.
	message, err := proto.Marshal(&parityv1.CallRequest{Case: "bench", Payload: &parityv1.Payload{Text: "a sentence that is as long as many are", Numbers: []int32{1, 2, 3}}})
	if err != nil {
		return err
	}
	ways := []*way{
		{"straight", at.Straight + procedure, false, "application/json", text},
		{"edge", at.Edge + procedure, false, "application/json", text},
		{"rest", at.Edge + "/v1/calls/bench", false, "application/json", rest},
		{"straight, HTTP/2", at.Straight + procedure, true, "application/proto", message},
		{"edge, HTTP/2", at.Edge + procedure, true, "application/proto", message},
		{"edge, new tokens", at.Edge + procedure, false, "application/json", text},
	}
	samples := map[string][]float64{}
	for round := range p.rounds {
		p.say("edge: round %d of %d", round+1, p.rounds)
		for _, w := range ways {
			tokens := at.Tokens
			if w.name == "edge, new tokens" {
				tokens = at.New[round*len(at.New)/p.rounds : (round+1)*len(at.New)/p.rounds]
			}
			sample, err := timeEdge(ctx, p, server.pid(), w, tokens)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			samples[w.name] = append(samples[w.name], sample)
		}
	}
	r.add(
		figure{Part: "edge", What: "processor time of a call, through the edge : without, JSON", Unit: nanoseconds, A: samples["edge"], B: samples["straight"], AtMost: 1.3},
		figure{Part: "edge", What: "the same with protobuf over HTTP/2", Unit: nanoseconds, A: samples["edge, HTTP/2"], B: samples["straight, HTTP/2"], AtMost: 1.3},
		figure{Part: "edge", What: "the same with a token that is new, JSON", Unit: nanoseconds, A: samples["edge, new tokens"], B: samples["straight"]},
		figure{Part: "edge", What: "REST : Connect JSON, through the edge", Unit: nanoseconds, A: samples["rest"], B: samples["edge"], AtMost: 1.5},
	)
	return nil
}

// timeEdge calls for a while, or for as long as there are tokens if each is to be used once, and returns the nanoseconds of processor
// time that a call took the server.
func timeEdge(ctx context.Context, p plan, pid int, w *way, tokens []string) (float64, error) {
	once := w.name == "edge, new tokens"
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!w.http2)
	protocols.SetUnencryptedHTTP2(w.http2)
	transport := &http.Transport{Protocols: protocols, MaxIdleConnsPerHost: edgeCallers, DisableCompression: true}
	defer transport.CloseIdleConnections()
	var next, calls atomic.Int64
	call := func() error {
		n := int(next.Add(1)) - 1
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(w.body))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", w.kind)
		request.Header.Set("Authorization", "Bearer "+tokens[n%len(tokens)])
		response, err := transport.RoundTrip(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		said, err := io.ReadAll(response.Body)
		if err == nil && response.StatusCode/100 != 2 {
			err = fmt.Errorf("answered %d %.200s", response.StatusCode, said)
		}
		calls.Add(1)
		return err
	}
	run := func(more func() bool) error {
		failed := make(chan error, edgeCallers)
		var callers sync.WaitGroup
		for range edgeCallers {
			callers.Go(func() {
				for more() {
					if err := call(); err != nil {
						failed <- err
						return
					}
				}
			})
		}
		callers.Wait()
		close(failed)
		return <-failed
	}
	if !once { // Whatever is made at the first call is made, and the tokens are known.
		if err := run(func() bool { return next.Load() < int64(2*len(tokens)) }); err != nil {
			return 0, err
		}
	}
	before, err := ownTime(pid)
	if err != nil {
		return 0, err
	}
	calls.Store(0)
	next.Store(0)
	end := time.Now().Add(p.window / 4)
	if err := run(func() bool { return time.Now().Before(end) && (!once || next.Load() < int64(len(tokens)-edgeCallers)) }); err != nil {
		return 0, err
	}
	after, err := ownTime(pid)
	if err != nil {
		return 0, err
	}
	return float64(after-before) / float64(calls.Load()), nil
}

// edgeProcess is the process whose time is read.
type edgeProcess struct {
	cmd   *exec.Cmd
	input io.Closer
}

// startEdge starts this program once more, as the server.
func startEdge(ctx context.Context) (*edgeProcess, *edgePorts, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.CommandContext(ctx, program, edgeServer)
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	p := &edgeProcess{cmd, input}
	line, err := bufio.NewReader(output).ReadBytes('\n')
	var at edgePorts
	if err == nil {
		err = json.Unmarshal(line, &at)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("start the process with the edge: %w", err), p.end())
	}
	return p, &at, nil
}

func (p *edgeProcess) pid() int { return p.cmd.Process.Pid }

// end ends the process, which serves until its input does.
func (p *edgeProcess) end() error {
	return errors.Join(p.input.Close(), p.cmd.Wait())
}
