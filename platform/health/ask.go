package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// maxAnswer is how much of an answer is read.
const maxAnswer = 4 << 10

// Ask asks the operator's port of a program on this machine, at one of the paths. It returns why the answer is no.
func Ask(ctx context.Context, addr, path string) error {
	addr, err := near(addr)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return err
	}
	// Neither a proxy in the environment nor a redirect leads away from this machine.
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("nobody has answered at %s in time", addr)
	case err != nil:
		return fmt.Errorf("nobody answers at %s: %w", addr, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	switch {
	case err != nil:
		return fmt.Errorf("the answer of %s broke off: %w", addr, err)
	case response.StatusCode == http.StatusServiceUnavailable:
		return errors.New(strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "; "))
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("what answers at %s is something else: %s", addr, response.Status)
	}
	return nil
}

// near returns where a program on this machine can be reached that listens on an address. Who listens on all of IPv6 does so on all of IPv4,
// too, and in a container without IPv6 that is all there is.
func near(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	switch ip := net.ParseIP(host); {
	case err != nil:
		return "", err
	case port == "0":
		return "", fmt.Errorf("%s leaves the port to the system, so nobody knows which it is", addr)
	case host == "" || ip != nil && ip.IsUnspecified():
		return net.JoinHostPort("127.0.0.1", port), nil
	}
	return addr, nil
}
