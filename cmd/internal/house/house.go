// Package house holds the map of the house, which every binary carries: what all modules declare to serve and to call. make generate
// writes it from the modules' declarations.
package house

import _ "embed"

// Map is the map in JSON.
//
//go:embed house.json
var Map []byte
