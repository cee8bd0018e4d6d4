package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// admin is what the command line says about operator's ports.
type admin struct {
	urls []string
	json bool
}

// flags adds the flags to a group of commands.
func (a *admin) flags(c *cobra.Command) {
	c.PersistentFlags().StringSliceVar(&a.urls, "admin", strings.Split(setting("CLEAVE_ADMIN_URLS", "http://127.0.0.1:9090"), ","),
		"operator's port of a process, for each that matters; also by CLEAVE_ADMIN_URLS, with commas")
	c.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON, an object a line")
}

// modules asks every operator's port which modules live there, and returns the base URL of each one's services.
func (a *admin) modules(ctx context.Context) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	bases := map[string]string{}
	for _, url := range a.urls {
		url = strings.TrimSuffix(url, "/")
		names, err := ask(ctx, url)
		if err != nil {
			return nil, fmt.Errorf("%w: start it, or name another with --admin or CLEAVE_ADMIN_URLS", err)
		}
		for _, name := range names {
			if _, replica := bases[name]; !replica { // One replica answers for all.
				bases[name] = url + "/modules/" + name
			}
		}
	}
	return bases, nil
}

// ask returns the modules of one process.
func ask(ctx context.Context, url string) ([]string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/modules", nil)
	if err != nil {
		return nil, fmt.Errorf("%q is no URL", url)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("nobody answers at %s (%w)", url, err)
	}
	defer response.Body.Close()
	var names []string
	if response.StatusCode != http.StatusOK || json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&names) != nil {
		return nil, fmt.Errorf("at %s there is no operator's port of Cleave", url)
	}
	return names, nil
}

// module returns the base URL of one module's services.
func (a *admin) module(ctx context.Context, name string) (string, error) {
	bases, err := a.modules(ctx)
	if err != nil {
		return "", err
	}
	base, ok := bases[name]
	if !ok {
		return "", fmt.Errorf("no process at %s holds the module %s; there are %s: name the process with --admin or CLEAVE_ADMIN_URLS",
			strings.Join(a.urls, ", "), name, strings.Join(slices.Sorted(maps.Keys(bases)), ", "))
	}
	return base, nil
}
