package topology

import (
	"os"
	"slices"
	"strings"
)

// foreign are the beginnings of variables that would make a program do something else than the test says.
var foreign = []string{"CLEAVE_", "DATABASE_URL", "OTEL_", "PG", "PORT="}

// environment returns the environment of this process without what programs of the house and PostgreSQL's clients read, and with
// the given variables.
func environment(set map[string]string) []string {
	kept := slices.DeleteFunc(os.Environ(), func(pair string) bool {
		return slices.ContainsFunc(foreign, func(beginning string) bool { return strings.HasPrefix(pair, beginning) })
	})
	for name, value := range set {
		kept = append(kept, name+"="+value)
	}
	return kept
}
