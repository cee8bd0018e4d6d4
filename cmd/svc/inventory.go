//go:build inventory

package main

import "github.com/cleave-go/cleave/modules/inventory"

func init() { program.Modules = append(program.Modules, inventory.Module) }
