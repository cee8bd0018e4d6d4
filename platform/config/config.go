// Package config reads settings from the environment. Every setting is declared once, with its default and a sentence that --help
// shows; a value that cannot be used stops the start with a sentence. NAME_FILE names a file that holds the value of NAME, for
// secrets.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"sort"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Setting is something that an operator can set.
type Setting struct {
	Name    string
	Default string
	// Help is a phrase for --help.
	Help string
	// Check says what is wrong with a value; nil takes any. It does not see empty values.
	Check func(string) error
}

// Values holds what is set. A setting that was not declared panics when it is read: that is a mistake in the program.
type Values struct {
	values map[string]string
	set    map[string]bool
}

// Load reads the settings with lookup, usually [os.LookupEnv]. The error names every value that cannot be used.
func Load(settings []Setting, lookup func(string) (string, bool)) (Values, error) {
	v := Values{values: make(map[string]string, len(settings)), set: map[string]bool{}}
	var problems []error
	for _, s := range settings {
		value, set, err := read(s, lookup)
		if err == nil && value != "" && s.Check != nil {
			err = s.Check(value)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", s.Name, err))
		}
		v.values[s.Name], v.set[s.Name] = value, set
	}
	return v, errors.Join(problems...)
}

// read returns a value and whether it is not the default.
func read(s Setting, lookup func(string) (string, bool)) (value string, isSet bool, err error) {
	value, set := lookup(s.Name)
	file, fromFile := lookup(s.Name + "_FILE")
	switch {
	case set && value != "" && fromFile && file != "":
		return "", true, fmt.Errorf("is set, and so is %s_FILE: set one of them", s.Name)
	case fromFile && file != "":
		content, err := os.ReadFile(file)
		if err != nil {
			return "", true, fmt.Errorf("read the file that %s_FILE names: %w", s.Name, err)
		}
		return strings.TrimRight(string(content), "\r\n"), true, nil
	case set && value != "":
		return value, true, nil
	default:
		return s.Default, false, nil
	}
}

// Unknown returns the variables of the environment that begin with the prefix and are no setting, most likely misspelt ones.
func Unknown(settings []Setting, prefix string, environ []string) []string {
	known := map[string]bool{}
	for _, s := range settings {
		known[s.Name], known[s.Name+"_FILE"] = true, true
	}
	var unknown []string
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, prefix) && !known[name] {
			unknown = append(unknown, name)
		}
	}
	sort.Strings(unknown)
	return unknown
}

// Help returns a table of the settings.
func Help(settings []Setting) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, s := range settings {
		help := s.Help
		if s.Default != "" {
			help += " (default " + s.Default + ")"
		}
		fmt.Fprintf(w, "  %s\t%s\n", s.Name, help)
	}
	w.Flush()
	return text.String()
}

// String returns a value as it is.
func (v Values) String(name string) string {
	value, ok := v.values[name]
	if !ok {
		panic("setting " + name + " is not declared")
	}
	return value
}

// IsSet reports whether an operator has given the value: it is not the default.
func (v Values) IsSet(name string) bool { return v.set[name] }

// Duration returns the value of a setting that [IsDuration] checks; 0 if it is empty.
func (v Values) Duration(name string) time.Duration {
	d, _ := time.ParseDuration(v.String(name))
	return d
}

// Int returns the value of a setting that [IsInt] checks; 0 if it is empty.
func (v Values) Int(name string) int {
	n, _ := strconv.Atoi(v.String(name))
	return n
}

// IsDuration takes durations that are not negative, for instance 250ms or 1m30s.
func IsDuration(value string) error {
	if d, err := time.ParseDuration(value); err != nil || d < 0 {
		return fmt.Errorf("%q is not a duration like 250ms, 10s or 1m30s", value)
	}
	return nil
}

// IsInt returns a check for whole numbers from low to high.
func IsInt(low, high int) func(string) error {
	return func(value string) error {
		if n, err := strconv.Atoi(value); err != nil || n < low || n > high {
			return fmt.Errorf("%q is not a whole number from %d to %d", value, low, high)
		}
		return nil
	}
}

// OneOf returns a check for a choice of words.
func OneOf(words ...string) func(string) error {
	return func(value string) error {
		for _, word := range words {
			if value == word {
				return nil
			}
		}
		return fmt.Errorf("%q is none of %s", value, strings.Join(words, ", "))
	}
}

// IsAddr takes addresses to listen on, for instance :8080 or 127.0.0.1:8080.
func IsAddr(value string) error {
	_, port, err := net.SplitHostPort(value)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%q is not an address like :8080 or 127.0.0.1:8080", value)
	}
	return nil
}

// IsURL returns a check for absolute URLs of the given schemes, in small letters: whoever asks a URL whether it is https:// looks at its
// beginning. The error does not repeat the value, which may hold a password.
func IsURL(schemes ...string) func(string) error {
	return func(value string) error {
		if _, err := url.Parse(value); err == nil {
			for _, scheme := range schemes {
				if strings.HasPrefix(value, scheme+"://") {
					return nil
				}
			}
		}
		return fmt.Errorf("is not a URL that begins with %s://", strings.Join(schemes, ":// or "))
	}
}
