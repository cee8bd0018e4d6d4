package postgres

import (
	"maps"
	"slices"
)

// defaults are the settings of every cluster.
var defaults = map[string]string{
	"cluster_name":      "cleave",
	"wal_level":         "logical", // so that change data capture can be tried without a restart
	"max_connections":   "200",
	"shared_buffers":    "128MB", // taken from the system as it is used
	"timezone":          "UTC",
	"log_timezone":      "UTC",
	"log_line_prefix":   "%m [%p] %q%u@%d ",
	"log_checkpoints":   "off", // a line every five minutes that nobody reads
	"logging_collector": "off", // the server appends to one file, which this package keeps short
	"log_destination":   "stderr",
}

// arguments are the settings as arguments of the server, later maps winning over earlier ones.
func arguments(settings ...map[string]string) []string {
	all := maps.Clone(defaults)
	for _, s := range settings {
		maps.Copy(all, s)
	}
	var args []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		args = append(args, "-c", name+"="+all[name])
	}
	return args
}
