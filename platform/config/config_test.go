package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cleave-go/cleave/platform/config"
)

var settings = []config.Setting{
	{Name: "CLEAVE_COLOUR", Default: "blue", Help: "which colour", Check: config.OneOf("blue", "red")},
	{Name: "CLEAVE_WAIT", Default: "2s", Help: "how long", Check: config.IsDuration},
	{Name: "CLEAVE_COUNT", Default: "3", Help: "how many", Check: config.IsInt(1, 10)},
	{Name: "SECRET_URL", Help: "where", Check: config.IsURL("postgres", "postgresql")},
}

// environ looks variables up in a map.
func environ(set map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := set[name]
		return value, ok
	}
}

// file returns the path of a file that holds a secret.
func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad(t *testing.T) {
	t.Parallel()
	secret := file(t, "postgres://db/cleave\n")
	for name, c := range map[string]struct {
		set    map[string]string
		colour string
		wait   time.Duration
		count  int
		url    string
		isSet  string // The setting that is set.
	}{
		"nothing set":    {colour: "blue", wait: 2 * time.Second, count: 3},
		"all set":        {set: map[string]string{"CLEAVE_COLOUR": "red", "CLEAVE_WAIT": "0s", "CLEAVE_COUNT": "10", "SECRET_URL": "postgresql://x/y"}, colour: "red", count: 10, url: "postgresql://x/y", isSet: "SECRET_URL"},
		"set to nothing": {set: map[string]string{"CLEAVE_COLOUR": "", "SECRET_URL_FILE": ""}, colour: "blue", wait: 2 * time.Second, count: 3},
		"from a file":    {set: map[string]string{"SECRET_URL_FILE": secret}, colour: "blue", wait: 2 * time.Second, count: 3, url: "postgres://db/cleave", isSet: "SECRET_URL"},
		"from a file, and set to nothing": {
			set: map[string]string{"SECRET_URL_FILE": secret, "SECRET_URL": ""}, colour: "blue", wait: 2 * time.Second, count: 3, url: "postgres://db/cleave", isSet: "SECRET_URL",
		},
		"set to the default": {set: map[string]string{"CLEAVE_COLOUR": "blue"}, colour: "blue", wait: 2 * time.Second, count: 3, isSet: "CLEAVE_COLOUR"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			values, err := config.Load(settings, environ(c.set))
			if err != nil {
				t.Fatal(err)
			}
			if got := values.String("CLEAVE_COLOUR"); got != c.colour {
				t.Errorf("the colour is %q, want %q", got, c.colour)
			}
			if got := values.Duration("CLEAVE_WAIT"); got != c.wait {
				t.Errorf("the wait is %v, want %v", got, c.wait)
			}
			if got := values.Int("CLEAVE_COUNT"); got != c.count {
				t.Errorf("the count is %d, want %d", got, c.count)
			}
			if got := values.String("SECRET_URL"); got != c.url {
				t.Errorf("the URL is %q, want %q", got, c.url)
			}
			for _, name := range []string{"CLEAVE_COLOUR", "SECRET_URL"} {
				if name == c.isSet && !values.IsSet(name) || c.isSet == "" && values.IsSet(name) {
					t.Errorf("%s is set: %v", name, values.IsSet(name))
				}
			}
		})
	}
}

// TestLoadRefuses holds that every value that cannot be used is told, by name, and that a secret is not.
func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		set  map[string]string
		want string
	}{
		"a word":     {map[string]string{"CLEAVE_COLOUR": "green"}, `CLEAVE_COLOUR: "green" is none of blue, red`},
		"a duration": {map[string]string{"CLEAVE_WAIT": "-1s"}, `CLEAVE_WAIT: "-1s" is not a duration like 250ms, 10s or 1m30s`},
		"a number":   {map[string]string{"CLEAVE_COUNT": "11"}, `CLEAVE_COUNT: "11" is not a whole number from 1 to 10`},
		"a URL":      {map[string]string{"SECRET_URL": "mysql://u:hunter2@db/x"}, `SECRET_URL: is not a URL that begins with postgres:// or postgresql://`},
		"no URL":     {map[string]string{"SECRET_URL": "postgres://u:hunter2@db:port"}, `SECRET_URL: is not a URL that begins with postgres:// or postgresql://`},
		"a file that is not there": {
			map[string]string{"SECRET_URL_FILE": "/nowhere"}, `SECRET_URL: read the file that SECRET_URL_FILE names: open /nowhere: no such file or directory`,
		},
		"twice": {map[string]string{"SECRET_URL_FILE": file(t, "x"), "SECRET_URL": "y"}, `SECRET_URL: is set, and so is SECRET_URL_FILE: set one of them`},
		"several": {
			map[string]string{"CLEAVE_COUNT": "many", "CLEAVE_COLOUR": "green"},
			"CLEAVE_COLOUR: \"green\" is none of blue, red\nCLEAVE_COUNT: \"many\" is not a whole number from 1 to 10",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(settings, environ(c.set))
			if err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestIsAddr(t *testing.T) {
	t.Parallel()
	for value, good := range map[string]bool{
		":8080": true, "127.0.0.1:8080": true, "[::1]:8080": true, "localhost:0": true, "": false, "8080": false, "localhost": false, ":http": false, ":65536": false, ":-1": false,
	} {
		if err := config.IsAddr(value); (err == nil) != good {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestUnknown(t *testing.T) {
	t.Parallel()
	got := config.Unknown(settings, "CLEAVE_", []string{"CLEAVE_COLOUR=x", "CLEAVE_COLOR=x", "CLEAVE_WAIT_FILE=x", "CLEAVE_A=", "SECRET=x", "PATH=/bin"})
	if want := "CLEAVE_A CLEAVE_COLOR"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	want := `  CLEAVE_COLOUR  which colour (default blue)
  CLEAVE_WAIT    how long (default 2s)
  CLEAVE_COUNT   how many (default 3)
  SECRET_URL     where
`
	if got := config.Help(settings); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestUndeclared holds that a setting that is read and not declared is found the first time that it is read.
func TestUndeclared(t *testing.T) {
	t.Parallel()
	values, err := config.Load(settings, environ(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if p := recover(); p != "setting CLEAVE_SIZE is not declared" {
			t.Errorf("it panicked with %v", p)
		}
	}()
	values.String("CLEAVE_SIZE")
}
