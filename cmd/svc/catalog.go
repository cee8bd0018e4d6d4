//go:build catalog

package main

import "github.com/cleave-go/cleave/modules/catalog"

func init() { program.Modules = append(program.Modules, catalog.Module) }
